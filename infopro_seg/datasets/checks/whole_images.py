"""Checks, before a classifier is built, that its images exist and have the classes of its heads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config
from mmseg.registry import DATASETS

from infopro_seg.datasets.building import leaves, not_built, remedy_for
from infopro_seg.datasets.checks.head_losses import heads
from infopro_seg.errors import ConfigError, DataError, UserError

FAULTS = (AssertionError, AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError)


def require_images(config: Config, splits: Iterable[str]) -> None:
    """Checks the data sets of some splits; mmpretrain's downloadable ones are downloaded.

    Args:
        config: a whole config; its `data_howto` says how to make the data.
        splits: any of train, val, test.

    Raises:
        ConfigError: a data set cannot be built, or a head has another number of classes.
        DataError: a data set is empty, files are missing, or the splits have different classes.
    """
    found: list[tuple[str, Classes]] = []
    for split in splits:
        loader = config.get(f'{split}_dataloader')
        for dataset in leaves(loader['dataset']) if loader is not None else ():
            classes = _require(dataset, split, config)
            for other in found:
                _require_same(other, (split, classes))
            _require_heads(config, classes.names, dataset, split)
            found.append((split, classes))


class Classes(NamedTuple):
    """Names of classes, and the folders that give the ids, in the order of the ids; empty if unknown."""

    names: tuple[str, ...]
    folders: tuple[str, ...]


def _classes(built: Any) -> Classes:
    names = tuple(built.metainfo.get('classes') or ())
    folders = tuple(getattr(built, 'folder_to_idx', None) or ())
    if set(folders) == set(names) and folders != names:
        raise ConfigError(
            f'metainfo of the data set has classes={names}, but folders get their ids by the alphabet: '
            f'{folders}; write them in this order, or leave them out'
        )
    return Classes(names, folders)


def _require_same(one: tuple[str, Classes], other: tuple[str, Classes]) -> None:
    """Checks that ids mean the same classes in two data sets, as far as both name them in the same way."""
    (first, mine), (second, theirs) = one, other
    if mine.names and theirs.names and set(mine.names) == set(theirs.names):
        if mine.names != theirs.names:
            raise DataError(
                f'the {first} and the {second} split name the same classes in another order, so that ids '
                f'mean other classes: {mine.names} and {theirs.names}; give both the same '
                'metainfo=dict(classes=...)'
            )
    elif mine.folders and theirs.folders and mine.folders != theirs.folders:
        only = [
            f'only {split} has {", ".join(sorted(set(here) - set(there)))}'
            for split, here, there in (
                (first, mine.folders, theirs.folders),
                (second, theirs.folders, mine.folders),
            )
            if set(here) - set(there)
        ]
        raise DataError(
            f'the {first} and the {second} split have different folders of classes: {"; ".join(only)}. Ids '
            'follow the alphabet, so give both the same folders (one may be empty)'
        )


def _require_heads(config: Config, names: Sequence[str], dataset: dict[str, Any], split: str) -> None:
    """Checks that heads that predict classes have as many as a data set."""
    wrong = [
        f'{name}.num_classes={head["num_classes"]}'
        for name, head in heads(config.model)
        if names and head['num_classes'] != len(names) and head.get('loss') != 'contrast'
    ]
    if wrong:
        raise ConfigError(
            f'{", ".join(wrong)}, but the {split} data set {dataset["type"]} has {len(names)} classes; '
            f'write num_classes={len(names)}'
        )


def build_images(dataset: dict[str, Any], split: str, config: Config) -> Any:
    """Builds a data set without its pipeline.

    Raises:
        ConfigError: the data set cannot be built.
        DataError: its files are missing or damaged.
    """
    howto = config.get('data_howto')
    try:
        return DATASETS.build({**dataset, 'pipeline': []})
    except DataError as error:
        if howto is None:
            raise
        raise DataError(f'{error}; {remedy_for(howto)}') from error
    except UserError:
        raise
    except FAULTS as error:
        raise not_built(dataset, split, error, howto) from error


def _require(dataset: dict[str, Any], split: str, config: Config) -> Classes:
    """Checks one data set, and returns its classes."""
    remedy = remedy_for(config.get('data_howto'))
    built = build_images(dataset, split, config)
    if len(built) == 0:
        raise DataError(f'the {split} split has no images; {remedy}')
    paths, labels = [], set()
    for index in range(len(built)):
        info = built.get_data_info(index)
        paths.append(info.get('img_path'))
        label = info.get('gt_label')  # None without labels, several numbers for several labels
        if label is not None and np.ndim(label) == 0:
            labels.add(int(label))
    missing = [path for path in paths if path is not None and not Path(path).is_file()]
    if missing:
        raise DataError(
            f'{len(missing)} of {len(paths)} images of the {split} split are missing, e.g. {missing[0]}; '
            f'{remedy}'
        )
    classes = _classes(built)
    count = len(classes.names)
    outside = sorted(label for label in labels if count and not 0 <= label < count)
    if outside:
        raise DataError(
            f'the {split} split has the label {outside[0]}, but its {count} classes are 0 to {count - 1}; '
            'correct the labels, or metainfo=dict(classes=...) of the data set'
        )
    return classes
