"""Checks that the heads of a config predict the classes that its data sets have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS

from infopro_seg.datasets.building import leaves
from infopro_seg.datasets.checks.head_losses import heads, require_losses
from infopro_seg.datasets.metainfo import require_two_classes
from infopro_seg.errors import ConfigError

SPLITS = ('train', 'val', 'test')
LOADERS = ('LoadLabels',)


def require_equal_classes(config: Config) -> None:
    """Compares the `num_classes` of every head and label loader with the classes of the data sets.

    A data set without known classes is not compared.

    Args:
        config: a whole config.

    Raises:
        ConfigError: the numbers of classes differ (the message names every place), or a head's loss does not
            work for its classes.
    """
    sets = list(dict.fromkeys(_classes_of_sets(config)))
    for name, classes in sets:
        require_two_classes(classes, f'the data set {name}')
    require_losses(config.model)
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
    for split in SPLITS:
        loader = config.get(f'{split}_dataloader')
        for dataset in leaves(loader['dataset']) if loader is not None else ():
            kind = DATASETS.get(dataset['type']) if isinstance(dataset['type'], str) else dataset['type']
            metainfo = {**getattr(kind, 'METAINFO', {}), **dict(dataset.get('metainfo') or {})}
            classes = metainfo.get('classes')
            if isinstance(classes, (list, tuple)):
                yield f'{split} ({dataset["type"]})', tuple(classes)


def _first_type(config: Config) -> Any:
    loaders = (config.get(f'{split}_dataloader') for split in SPLITS)
    return next(next(leaves(loader['dataset']))['type'] for loader in loaders if loader is not None)


def _classes_of_loaders(config: Config) -> Iterator[tuple[str, int]]:
    for split in SPLITS:
        loader = config.get(f'{split}_dataloader')
        for dataset in leaves(loader['dataset']) if loader is not None else ():
            for step in dataset.get('pipeline') or ():
                if step.get('type') in LOADERS and step.get('num_classes') is not None:
                    yield f'{step["type"]} of {split}_dataloader', step['num_classes']
