"""Checks that the heads of a config predict the classes that its data sets have."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS

from infopro_seg.datasets.building import class_of, leaves
from infopro_seg.datasets.checks.head_losses import heads, require_losses
from infopro_seg.datasets.metainfo import require_two_classes
from infopro_seg.errors import ConfigError

SPLITS = ('train', 'val', 'test')
LOADERS = ('LoadLabels',)
SPLIT_NAMES = re.compile(r'train(ing)?|val(id(ation)?)?|test(ing)?')  # in the names of folders


def require_equal_classes(config: Config) -> None:
    """Compares the `num_classes` of every head and label loader with the classes of the data sets.

    A data set without known classes is not compared.

    Args:
        config: a whole config.

    Raises:
        ConfigError: the numbers of classes differ (the message names every place), or a head's loss does not
            work for its classes.
    """
    _require_one_zero_label(config)
    sets = list(dict.fromkeys(_classes_of_sets(config)))
    for name, classes in sets:
        require_two_classes(classes, f'the data set {name}')
    require_losses(config.model, trains=config.get('train_dataloader') is not None)
    counts = sorted({len(classes) for _, classes in sets})
    if not counts:
        return
    if len(counts) > 1:
        named = ', '.join(f'{name}: {len(classes)}' for name, classes in sets)
        raise ConfigError(
            f'the data sets of the config have different numbers of classes ({named}); give them one '
            'metainfo=dict(classes=...)'
        )
    for name, classes in sets[1:]:
        if classes != sets[0][1] and set(classes) == set(sets[0][1]):
            raise ConfigError(
                f'the data sets {sets[0][0]} and {name} name the same classes in another order, so that ids '
                f'mean other classes: {sets[0][1]} and {classes}; give them one metainfo=dict(classes=...)'
            )
    [expected] = counts
    found = {name: head['num_classes'] for name, head in heads(config.model)} | dict(
        _classes_of_loaders(config)
    )
    wrong = [f'{name}.num_classes={count}' for name, count in found.items() if count != expected]
    if wrong:
        raise ConfigError(
            f'{", ".join(wrong)}, but the data set {_first_type(config)} has {expected} classes; write '
            f'num_classes={expected}, or give the data set a metainfo=dict(classes=...)'
        )


def _classes_of_sets(config: Config) -> Iterator[tuple[str, tuple[str, ...]]]:
    for split, dataset in _leaves(config):
        kind = class_of(dataset, DATASETS)
        metainfo = {**getattr(kind, 'METAINFO', {}), **dict(dataset.get('metainfo') or {})}
        classes = metainfo.get('classes')
        if isinstance(classes, (list, tuple)):
            yield f'{split} ({dataset["type"]})', tuple(classes)


def _require_one_zero_label(config: Config) -> None:
    """Checks that the label images of one folder are read alike, or ids mean other classes in validation."""
    seen: dict[tuple[str, str], tuple[str, bool]] = {}
    for split, dataset in _leaves(config):
        kind = class_of(dataset, DATASETS)
        default = inspect.signature(kind).parameters.get('reduce_zero_label') if callable(kind) else None
        value = bool(dataset.get('reduce_zero_label', default is not None and default.default))
        folders = dataset.get('data_prefix')
        if not isinstance(folders, dict) or not folders.get('seg_map_path'):
            continue  # without label images
        labels = Path(dataset.get('data_root') or '') / folders['seg_map_path']
        place = str(dataset['type']), SPLIT_NAMES.sub('*', str(labels))
        other, before = seen.setdefault(place, (split, value))
        if value != before:
            raise ConfigError(
                f'reduce_zero_label is {before} in the {other} data set and {value} in the {split} data set '
                f'{place[0]}, whose label images lie in {labels}, so that ids mean other classes; write the '
                'same in both'
            )


def _leaves(config: Config) -> Iterator[tuple[str, Any]]:
    """Each data set of a config without its wrappers, and its split."""
    for split in SPLITS:
        loader = config.get(f'{split}_dataloader')
        for dataset in leaves(loader['dataset']) if loader is not None else ():
            yield split, dataset


def _first_type(config: Config) -> Any:
    return next(dataset['type'] for _, dataset in _leaves(config))


def _classes_of_loaders(config: Config) -> Iterator[tuple[str, int]]:
    for split, dataset in _leaves(config):
        for step in dataset.get('pipeline') or ():
            if isinstance(step, dict) and step.get('type') in LOADERS and step.get('num_classes') is not None:
                yield f'{step["type"]} of {split}_dataloader', step['num_classes']
