"""Checks that data loaders give batches, and each image of a validation once."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config
from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop

from infopro_seg.batch_norm import SingleValueError
from infopro_seg.config_edits import edited
from infopro_seg.datasets.building import is_stock
from infopro_seg.datasets.seeding import SeededSampler, fork_random
from infopro_seg.errors import ConfigError
from infopro_seg.memory.tracing.step import trace_step
from infopro_seg.memory.tracing.training_setup import training_setup


def require_batches(runner: Any, loops: dict[str, Any]) -> None:
    """Checks the loaders that are read to their end; an infinite one goes on with the next epoch.

    Args:
        runner: the runner.
        loops: its loops that are built, by their keys in the config.

    Raises:
        ConfigError: `drop_last` leaves no batch, the network cannot train on a batch of one image, or a
            validation would never end.
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
        if loader is None or getattr(loader, 'batch_size', None) is None:
            continue
        if key == 'train_cfg' and loader.batch_size == 1 and _contrasts_images(runner.model):
            raise ConfigError(
                "batch_size=1 of the train_dataloader: the loss of a ConvClassifierHead with loss='contrast' "
                'compares the images of a batch in its process, so that with one image it is 0 and teaches '
                "nothing; write a larger batch_size, or loss='softmax'"
            )
        if key == 'train_cfg' and not getattr(loader, 'drop_last', False):
            _require_last_batch(runner, loop)
        if not getattr(loader, 'drop_last', False):
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


def _contrasts_images(model: Any) -> bool:
    """Whether an auxiliary head of whole images that trains has the contrastive loss."""
    return any(
        getattr(module, 'contrasts_images', False) and any(p.requires_grad for p in module.parameters())
        for module in model.modules()
    )


def _require_last_batch(runner: Any, loop: Any) -> None:
    """Checks, if the last batch of each epoch is one image, that the network can train on it."""
    sampler, size = loop.dataloader.sampler, loop.dataloader.batch_size
    endless = isinstance(sampler, (InfiniteSampler, SeededSampler)) or not hasattr(sampler, '__len__')
    if endless or size == 1 or len(sampler) % size != 1:
        return
    if isinstance(loop, IterBasedTrainLoop) and loop.max_iters <= len(sampler) // size:
        return  # the training ends before it
    runner.logger.info('the last batch of each epoch is one image: looking whether the network trains on it')
    alone = get_world_size() == 1
    try:
        setup = training_setup(runner.cfg, batch=1)
        with fork_random((0,)):
            trace_step(_without_sync(runner.cfg) if alone else runner.cfg, 1, setup.crop, setup.amp)
    except SingleValueError as error:
        raise SingleValueError(
            f'the last batch of each epoch holds one image ({len(sampler)} images of a process, batch_size='
            f'{size}), and a batch norm after global pooling needs two; set drop_last=True in the '
            'train_dataloader, or another batch_size'
        ) from error
    except Exception:  # the network cannot be traced
        return


def _without_sync(cfg: Any) -> Any:
    """A copy of a config with BN in place of SyncBN, which is the same in a single process."""
    return Config(edited(cfg.to_dict(), lambda node: 'BN' if node == 'SyncBN' else node))
