"""The data on which probes are trained and evaluated: those of a config."""

from __future__ import annotations

import json
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS

from infopro_seg.datasets.checks.classes import require_equal_classes
from infopro_seg.datasets.preflight import require_data
from infopro_seg.datasets.seeding import SeededDataset
from infopro_seg.errors import ConfigError, UserError
from infopro_seg.training.runner import NamingRunner

SPLITS = ('train', 'val')


def require_splits(config: Config) -> None:
    """Checks that a config has training and validation data, and that their files exist.

    Raises:
        ConfigError: a data loader is missing, or the splits have different classes.
        DataError: files are missing.
    """
    for split in SPLITS:
        if config.get(f'{split}_dataloader') is None:
            raise ConfigError(
                f'the config has no {split}_dataloader: probes are trained on the train split and evaluated '
                'on the val split; see configs/_base_/datasets'
            )
    require_equal_classes(config)
    require_data(config, SPLITS)


def batch_size(config: Config, given: int | None) -> int:
    """Images per iteration: as given, or else as in the config.

    Raises:
        UserError: the number is below 1.
    """
    size = int(config.train_dataloader.get('batch_size', 1) if given is None else given)
    if size < 1:
        raise UserError(f'--batch is {size}; give 1 or more')
    return size


def train_loader(config: Config, batch: int, seed: int) -> Any:
    """An endless loader of the train split in random order; the same seed gives the same batches."""
    loader = {
        **_worker_options(config.train_dataloader),
        'batch_size': batch,
        'dataset': SeededDataset(DATASETS.build(config.train_dataloader['dataset'])),
        'sampler': {'type': 'SeededSampler', 'sampler': {'type': 'InfiniteSampler', 'shuffle': True}},
    }
    return NamingRunner.build_dataloader(loader, seed=seed)


def val_loader(config: Config) -> Any:
    """A loader of the val split, in its order."""
    loader = {
        **_worker_options(config.val_dataloader),
        'batch_size': config.val_dataloader.get('batch_size', 1),
        'dataset': DATASETS.build(config.val_dataloader['dataset']),
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
    }
    return NamingRunner.build_dataloader(loader)


def describe_data(config: Config) -> Any:
    """The parts of a config that decide which images probes see, as JSON would return them."""
    return plain({split: config[f'{split}_dataloader']['dataset'] for split in SPLITS})


def plain(value: Any) -> Any:
    """A part of a config as JSON would return it."""
    return json.loads(json.dumps(value, default=str))


def _worker_options(loader: dict[str, Any]) -> dict[str, Any]:
    """The options of a loader for workers and memory."""
    names = ('num_workers', 'persistent_workers', 'pin_memory', 'prefetch_factor', 'collate_fn')
    return {name: loader[name] for name in names if name in loader}
