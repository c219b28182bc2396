"""Checks that data loaders give batches, and all images of a validation."""

from __future__ import annotations

from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.runner import EpochBasedTrainLoop

from infopro_seg.errors import ConfigError


def require_batches(runner: Any, loops: dict[str, Any]) -> None:
    """Checks the loaders that are read to their end; an infinite one goes on with the next epoch.

    Args:
        runner: the runner.
        loops: its loops that are built, by their keys in the config.

    Raises:
        ConfigError: `drop_last` leaves no batch.
    """
    for key, loop in loops.items():
        loader = getattr(loop, 'dataloader', None)
        if loader is None or not getattr(loader, 'drop_last', False) or loader.batch_size is None:
            continue
        if key == 'train_cfg' and not isinstance(loop, EpochBasedTrainLoop):
            continue
        sampler = loader.sampler
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
