"""Checks that data loaders give batches, and each image of a validation once."""

from __future__ import annotations

from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.runner import EpochBasedTrainLoop

from infopro_seg.datasets.building import is_stock
from infopro_seg.errors import ConfigError


def require_batches(runner: Any, loops: dict[str, Any]) -> None:
    """Checks the loaders that are read to their end; an infinite one goes on with the next epoch.

    Args:
        runner: the runner.
        loops: its loops that are built, by their keys in the config.

    Raises:
        ConfigError: `drop_last` leaves no batch, or a validation would never end.
    """
    for key, loop in loops.items():
        loader = getattr(loop, 'dataloader', None)
        sampler: Any = getattr(loader, 'sampler', None)
        evaluates = key != 'train_cfg' and is_stock(getattr(type(loop), 'run', None))
        endless = isinstance(sampler, InfiniteSampler) and is_stock(getattr(type(sampler), '__iter__', None))
        if evaluates and endless:
            name = key.replace('_cfg', '_dataloader')
            raise ConfigError(
                f'{name} has an {type(sampler).__name__}, with which the evaluation would never end; '
                "write sampler=dict(type='DefaultSampler', shuffle=False)"
            )
        if loader is None or not getattr(loader, 'drop_last', False) or loader.batch_size is None:
            continue
        if key == 'train_cfg' and not isinstance(loop, EpochBasedTrainLoop):
            continue
        if isinstance(sampler, InfiniteSampler) or not hasattr(sampler, '__len__'):
            continue
        name, count = key.replace('_cfg', '_dataloader'), len(sampler)  # of this process
        if count < loader.batch_size:
            raise ConfigError(
                f'{name} gives no batch: drop_last=True leaves out what is less than batch_size='
                f'{loader.batch_size}, and a process gets {count} images; write drop_last=False'
            )
        if key != 'train_cfg' and count % loader.batch_size:
            runner.logger.warning(
                f'drop_last=True of {name} leaves {count % loader.batch_size} of {count} images out of the '
                'metrics; write drop_last=False'
            )
