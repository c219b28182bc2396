"""Checks the schedules of a config against the length of its training."""

from __future__ import annotations

from typing import Any

from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import EpochBasedTrainLoop

from infopro_seg.errors import ConfigError


def require_schedules(loop: Any, runner: Any) -> None:
    """Refuses schedules that fail before the training ends, and warns about those that never do anything.

    Args:
        loop: the training loop.
        runner: its runner, whose schedules are built.

    Raises:
        ConfigError: a schedule ends with an error before the training does.
    """
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    for scheduler in runner.param_schedulers if isinstance(runner.param_schedulers, list) else ():
        kind = type(scheduler).__name__
        if scheduler.by_epoch and not by_epoch:
            runner.logger.warning(
                f'{kind} counts epochs (by_epoch=True), but {type(loop).__name__} counts iterations: its '
                f'{scheduler.param_name} never changes; give it by_epoch=False'
            )
        elif isinstance(scheduler, OneCycleParamScheduler):
            counted = 'max_epochs' if scheduler.by_epoch else 'max_iters'
            length = getattr(loop, counted, 0)  # a user's loop may lack it
            last = min(scheduler.end - 1, length) - scheduler.begin  # of its steps
            if last > scheduler.total_steps:  # mmengine fails in the first step beyond
                raise ConfigError(
                    f'total_steps={scheduler.total_steps} of the {kind} in param_scheduler, but the training '
                    f'has {last} steps; leave total_steps out to use as many'
                )
