"""Checks, before anything is built, that the data of a config exists and is usable."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.logging import MMLogger

from infopro_seg.datasets.building import build_leaf, is_local, leaves, lists_files, remedy_for
from infopro_seg.datasets.checks.batch_sizes import require_equal_sizes
from infopro_seg.datasets.checks.contents import look_through
from infopro_seg.datasets.checks.file_names import instead_of
from infopro_seg.datasets.checks.inspection import Pair
from infopro_seg.datasets.checks.label_loading import UnknownLoadingError, loading_of
from infopro_seg.datasets.checks.pairs import SPLITS, pairs_of, unlabelled, unlisted
from infopro_seg.datasets.checks.trial import require_pipeline
from infopro_seg.datasets.problems import Problem
from infopro_seg.datasets.split_lists import list_file
from infopro_seg.errors import DataError
from infopro_seg.tasks import is_classifier


def require_data(config: Config, splits: Iterable[str]) -> None:
    """Checks the data sets of some splits within seconds; `check_split` reads everything.

    It checks all folders, lists and file headers, and completely reads a sample of the files.

    Args:
        config: a whole config; its `data_howto` says how to make the data.
        splits: any of train, val, test.

    Raises:
        ConfigError: a data set cannot be built, or its classes or colours are invalid.
        DataError: a file is missing or unusable; the message names the file and the remedy.
    """
    if is_classifier(config):
        from infopro_seg.datasets.checks.whole_images import require_images

        require_images(config, splits)
        return
    trained: set[Path] = set()
    for split in sorted(splits, key=SPLITS.index):
        loader = config.get(f'{split}_dataloader')
        if loader is None:
            continue
        found: list[tuple[Pair, tuple[int, int] | None]] = []
        for dataset in leaves(loader['dataset']):
            found += _require(dataset, split, config)
        require_equal_sizes(config, split, [(pair.image, size) for pair, size in found])
        images = {pair.image.absolute() for pair, _ in found}
        listed = Counter((pair.image.absolute(), pair.label) for pair, _ in found)  # annotators may differ
        if split != 'train' and len(listed) < len(found):
            [((twice, _), _)] = listed.most_common(1)
            MMLogger.get_current_instance().warning(
                f'{len(found) - len(listed)} images of the {split} split are listed again, e.g. {twice}, and '
                'count in the metrics as often; give the joined data sets different images'
            )
        if split == 'train':
            trained = images
        elif shared := images & trained:
            MMLogger.get_current_instance().warning(
                f'{len(shared)} of {len(images)} images of the {split} split are trained on as well, e.g. '
                f'{min(shared)}: its metrics do not tell how new images are segmented'
            )


def _require(
    dataset: dict[str, Any], split: str, config: Config
) -> list[tuple[Pair, tuple[int, int] | None]]:
    """Checks one data set; returns its pairs and the sizes of images, if its pipeline can be followed."""
    howto = config.get('data_howto')
    built = build_leaf(dataset, split, howto)
    if not isinstance(built, BaseDataset) or not is_local(dataset):
        return []
    infos = [built.get_data_info(index) for index in range(len(built))]
    classes = built.metainfo.get('classes') or ()
    loading = None
    with suppress(UnknownLoadingError):
        loading = loading_of(dataset, built, len(classes))
    _refuse(unlisted(built), split, config)
    if loading is not None or lists_files(dataset):
        for kind, key in (('images', 'img_path'), ('label images', 'seg_map_path')):
            _require_files([info.get(key) for info in infos], kind, split, dataset, howto)
    usual = all(isinstance(info.get('img_path'), (str, os.PathLike)) for info in infos)
    if loading is None or not classes or not usual:
        return []  # the user's own kind of data set
    pairs: list[Pair] = pairs_of(built, loading)
    _refuse(unlabelled(dataset, pairs), split, config)
    problems, sizes = look_through(pairs, split, classes)
    _refuse(problems, split, config)
    require_pipeline(config, split, dataset, built, sizes)
    return list(zip(pairs, sizes, strict=True))


def _require_files(
    paths: Sequence[str | None], kind: str, split: str, dataset: dict[str, Any], howto: str | None
) -> None:
    missing = [
        Path(path) for path in paths if isinstance(path, (str, os.PathLike)) and not Path(path).is_file()
    ]
    if missing:
        listed = list_file(dataset)
        form = 'one path per line, below img_path and without suffix'
        names = f'; the list {listed} names them, and should hold {form}' if listed is not None else ''
        raise DataError(
            f'{len(missing)} of {len(paths)} {kind} of the {split} split are missing, e.g. '
            f'{missing[0]}{instead_of(missing[0])}{names}; {remedy_for(howto)}'
        )


def _refuse(problems: Sequence[Problem], split: str, config: Config) -> None:
    if problems:
        first = f'of {len(problems)} problems the first: ' if len(problems) > 1 else ''
        raise DataError(
            f'the {split} data cannot be used: {first}{problems[0]}; to read all files run: '
            f'python tools/check_dataset.py {config.filename or "CONFIG"} --split {split}'
        )
