"""The images and label images of a split, listed by mmseg's own data set classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from infopro_seg.datasets.building import build_leaf, leaves
from infopro_seg.datasets.checks.file_names import hidden, left_out, visible_files
from infopro_seg.datasets.checks.inspection import Loading, Pair
from infopro_seg.datasets.checks.label_loading import loading_of, loads_labels
from infopro_seg.datasets.problems import Problem
from infopro_seg.errors import ConfigError
from infopro_seg.stock_datasets import BaseSegDataset

SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class Split:
    """The files of a split.

    Args:
        name: train, val or test.
        classes: names of the classes.
        palette: RGB colour of each class.
        pairs: images with their label images, each once.
        problems: label images without an image, class counts that differ in the config.
    """

    name: str
    classes: tuple[str, ...]
    palette: list[tuple[int, int, int]]
    pairs: list[Pair]
    problems: list[Problem]


def list_split(config: Config, name: str) -> Split:
    """Lists a split of a config.

    Args:
        config: a whole config; its `data_howto` says how to make the data.
        name: train, val or test.

    Raises:
        ConfigError: the config has no such split, or its data set cannot be built.
        DataError: a folder is missing, or the split is empty.
    """
    loader = config.get(f'{name}_dataloader')
    if loader is None:
        there = [split for split in SPLITS if config.get(f'{split}_dataloader') is not None]
        raise ConfigError(
            f'no {name} split in {_source(config)}: it has no {name}_dataloader; '
            f'choose from {", ".join(there) or "none: it configures no data"}'
        )
    pairs: dict[tuple[Path, Path | None], Pair] = {}
    problems: list[Problem] = []
    metas: list[tuple[tuple[str, ...], list[Any]]] = []
    for leaf in leaves(loader['dataset']):
        dataset = build_leaf(leaf, name, config.get('data_howto'))
        metas.append((tuple(dataset.metainfo['classes']), list(dataset.metainfo['palette'])))
        found = pairs_of(dataset, loading_of(leaf, dataset, len(metas[-1][0])))
        pairs.update({(pair.image, pair.label): pair for pair in found})
        problems += unlisted(dataset)
        problems += unlabelled(leaf, found) if name != 'test' else []
        problems += _without_image(dataset, {str(pair.label) for pair in found})
    classes, palette = metas[0]
    for other, _ in metas[1:]:
        if other != classes:
            raise ConfigError(
                f'the data sets of the {name} split differ in their classes: {classes} and {other}; '
                'give them the same metainfo'
            )
    problems += _class_counts(config, len(classes))
    return Split(name, classes, [tuple(color) for color in palette], list(pairs.values()), problems)


def pairs_of(dataset: Any, loading: Loading) -> list[Pair]:
    """The pairs of a built data set, in its order."""
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    labels = [info.get('seg_map_path') for info in infos]
    return [
        Pair(Path(info['img_path']), None if label is None else Path(label), loading)
        for info, label in zip(infos, labels, strict=True)
    ]


def unlisted(dataset: Any) -> list[Problem]:
    """Images that a data set leaves out, and hidden folders that it does not, if it takes a whole folder."""
    if not _takes_folder(dataset):
        return []
    known = {os.path.normpath(dataset.get_data_info(index)['img_path']) for index in range(len(dataset))}
    folder = dataset.data_prefix['img_path']
    return hidden(folder, known) + left_out(folder, dataset.img_suffix, known)


def unlabelled(dataset: dict[str, Any], pairs: Sequence[Pair]) -> list[Problem]:
    """The problem of a data set whose pipeline loads labels although it has none.

    Args:
        dataset: the config of the data set.
        pairs: the pairs of the data set.
    """
    if any(pair.label is not None for pair in pairs) or not loads_labels(dataset):
        return []
    what = 'the images have no labels, as data_prefix of the data set names no seg_map_path'
    return [Problem(pairs[0].image.parent, what, 'give it the folder of the label images')]


def _without_image(dataset: Any, known: set[str]) -> list[Problem]:
    """Label images without an image, if the data set takes a whole folder."""
    folder = dataset.data_prefix.get('seg_map_path') if _takes_folder(dataset) else None
    if not folder:
        return []
    images = dataset.data_prefix['img_path']
    others: dict[str, str] = {}  # by path below the folder without suffix: images, in the data set or not
    for path in visible_files(images):
        name = os.path.relpath(path, images)
        cut = len(dataset.img_suffix) if name.lower().endswith(dataset.img_suffix.lower()) else None
        others[name[:-cut] if cut else os.path.splitext(name)[0]] = name  # noqa: PTH122
    known = {os.path.normpath(path) for path in known}
    found = []
    for path in sorted(visible_files(folder)):
        if not path.endswith(dataset.seg_map_suffix) or os.path.normpath(path) in known:
            continue
        name = os.path.relpath(path, folder).removesuffix(dataset.seg_map_suffix)
        other = others.get(name)
        if other is not None and other.lower().endswith(dataset.img_suffix.lower()):
            continue  # the image is left out, and reported there
        there = f', but there is {other}' if other else ''
        what = (
            f'the label image has no image *{dataset.img_suffix}{there}'
            if other
            else 'the label image has no image'
        )
        found.append(Problem(Path(path), what, f'add its image *{dataset.img_suffix}, or remove it'))
    return found


def _takes_folder(dataset: Any) -> bool:
    """Whether a data set takes all images of a folder."""
    listed = getattr(dataset, 'ann_file', '') or getattr(dataset, '_indices', None) is not None
    if not isinstance(dataset, BaseSegDataset) or listed:
        return False
    own = type(dataset)  # may choose among the images
    chooses = own.load_data_list is not BaseSegDataset.load_data_list
    chooses = chooses or own.filter_data is not BaseSegDataset.filter_data
    return not chooses and bool(dataset.data_prefix.get('img_path'))


def _class_counts(config: Config, count: int) -> list[Problem]:
    """The problem of a decode head whose number of classes differs from the data set's."""
    heads = config.get('model', {}).get('decode_head') or {}
    head = heads[-1] if isinstance(heads, list | tuple) else heads
    given = head.get('num_classes', count)
    if given == count:
        return []
    return [
        Problem(
            Path(_source(config)),
            f'decode_head.num_classes is {given}, but the data set has {count} classes',
            'make them equal, in every head',
        )
    ]


def _source(config: Config) -> str:
    return config.filename or 'the config'
