"""The images and label images of a split, listed by mmseg's own data set classes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmseg.datasets import BaseSegDataset

from infopro_seg.datasets.building import build_leaf, leaves
from infopro_seg.datasets.inspection import Pair
from infopro_seg.datasets.label_loading import loading_of
from infopro_seg.datasets.problems import Problem
from infopro_seg.errors import ConfigError

SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class Split:
    """What a split consists of.

    Args:
        name: train, val or test.
        classes: their names.
        palette: RGB of each.
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
        metas.append(_meta(dataset, leaf, config))
        loading = loading_of(leaf, dataset, len(metas[-1][0]))
        infos = [dataset.get_data_info(index) for index in range(len(dataset))]
        for info in infos:
            label = info.get('seg_map_path')
            pair = Pair(Path(info['img_path']), None if label is None else Path(label), loading)
            pairs[pair.image, pair.label] = pair
        problems += _without_image(dataset, {str(info.get('seg_map_path')) for info in infos})
    classes, palette = metas[0]
    for other, _ in metas[1:]:
        if other != classes:
            raise ConfigError(
                f'the data sets of the {name} split differ in their classes: {classes} and {other}; '
                'give them the same metainfo'
            )
    problems += _class_counts(config, len(classes))
    return Split(name, classes, [tuple(color) for color in palette], list(pairs.values()), problems)


def _meta(dataset: Any, leaf: dict[str, Any], config: Config) -> tuple[tuple[str, ...], list[Any]]:
    classes = dataset.metainfo.get('classes')
    if not classes:
        raise ConfigError(
            f'the data set {leaf.get("type")} in {_source(config)} names no classes; '
            "give it metainfo=dict(classes=('background', 'thing'))"
        )
    return tuple(classes), list(dataset.metainfo['palette'])


def _without_image(dataset: Any, known: set[str]) -> list[Problem]:
    """Label images that no image belongs to, where the whole folder is the data set."""
    listed = getattr(dataset, 'ann_file', '') or getattr(dataset, '_indices', None) is not None
    folder = dataset.data_prefix.get('seg_map_path')
    if listed or not folder or not isinstance(dataset, BaseSegDataset):
        return []
    paths = sorted(
        os.path.join(top, name)  # noqa: PTH118  (joined as mmseg joins, to compare)
        for top, _, names in os.walk(folder)
        for name in names
        if name.endswith(dataset.seg_map_suffix)
    )
    remedy = f'add its image *{dataset.img_suffix}, or remove it'
    known = {os.path.normpath(path) for path in known}
    return [
        Problem(Path(path), 'the label image has no image', remedy)
        for path in paths
        if os.path.normpath(path) not in known
    ]


def _class_counts(config: Config, count: int) -> list[Problem]:
    """The problem of a decode head of another number of classes than the data set."""
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
