"""Checks the schedules of a config against the length of its training."""

from __future__ import annotations

from typing import Any

from mmengine.optim.scheduler.param_scheduler import (
    CosineAnnealingParamScheduler,
    LinearParamScheduler,
    OneCycleParamScheduler,
    PolyParamScheduler,
    _ParamScheduler,
)
from mmengine.runner import EpochBasedTrainLoop

from infopro_seg.errors import ConfigError

NEARLY = 0.99  # share of a training that counts as all of it


def require_schedules(loop: Any, runner: Any) -> None:
    """Refuses schedules that fail before the training ends, and warns about those of another length.

    Args:
        loop: the training loop.
        runner: its runner, whose schedules are built.

    Raises:
        ConfigError: a schedule ends with an error before the training does.
    """
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    given = runner.param_schedulers if isinstance(runner.param_schedulers, list) else []
    schedulers = [one for one in given if isinstance(one, _ParamScheduler)]  # others may count as they like
    for scheduler in schedulers:
        kind = type(scheduler).__name__
        counted = 'max_epochs' if scheduler.by_epoch else 'max_iters'
        length = getattr(loop, counted, 0)  # a user's loop may lack it
        if getattr(scheduler, 'need_val_args', False):
            continue  # it counts validations, though its by_epoch is True
        if scheduler.by_epoch and not by_epoch:
            runner.logger.warning(
                f'{kind} counts epochs (by_epoch=True), but {type(loop).__name__} counts iterations: its '
                f'{scheduler.param_name} never changes; give it by_epoch=False'
            )
        elif isinstance(scheduler, OneCycleParamScheduler):
            last = min(scheduler.end - 1, length) - scheduler.begin  # of its steps
            if last > scheduler.total_steps:  # mmengine fails in the first step beyond
                raise ConfigError(
                    f'total_steps={scheduler.total_steps} of the {kind} in param_scheduler, but the training '
                    f'has {last} steps; leave total_steps out to use as many'
                )
        elif length:
            last_end = max(one.end for one in schedulers if one.param_name == scheduler.param_name)
            what = _other_length(scheduler, length, last_end)
            if what:
                runner.logger.warning(
                    f'{kind} in param_scheduler {what}, but the training has {counted}={length}; correct its '
                    'end unless you mean this'
                )


def _other_length(scheduler: Any, length: int, last_end: int) -> str | None:
    """What a schedule does that shows it was written for another length of training; None if nothing does."""
    name = scheduler.param_name
    if isinstance(scheduler, CosineAnnealingParamScheduler):
        end = scheduler.begin + scheduler.T_max
    elif isinstance(scheduler, (LinearParamScheduler, PolyParamScheduler)):
        end = scheduler.end
    else:
        return None
    if end * NEARLY > length:
        return f'changes its {name} until {end}'
    if not isinstance(scheduler, LinearParamScheduler) and scheduler.end == last_end < length * NEARLY:
        return f'ends at {last_end}, after which its {name} stays as it is'
    return None
