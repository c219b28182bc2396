"""Checks that hooks and schedules wait only for metrics that a validation will report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.hooks import CheckpointHook, EarlyStoppingHook

from infopro_seg.errors import ConfigError
from infopro_seg.spelling import did_you_mean


def require_metrics(runner: Any, names: set[str]) -> None:
    """Checks that hooks and schedules wait only for metrics that the validation reports.

    Args:
        runner: a runner whose hooks and schedules are built.
        names: names of the reported metrics.

    Raises:
        ConfigError: a hook or schedule waits for a metric that is not reported.
    """
    for hook, setting, name in _awaited_metrics(runner):
        if name not in names:
            hint = did_you_mean(name, names, cutoff=0.6)
            raise ConfigError(
                f'{setting}={name!r} of {hook}, but the validation reports '
                f'{", ".join(sorted(names)) or "nothing"}{hint}'
            )


def _awaited_metrics(runner: Any) -> Iterator[tuple[str, str, str]]:
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.save_best:
            for key in hook.key_indicators:
                if key != 'auto':
                    yield type(hook).__name__, 'save_best', key
        if isinstance(hook, EarlyStoppingHook):
            yield type(hook).__name__, 'monitor', hook.monitor
    for scheduler in runner.param_schedulers if isinstance(runner.param_schedulers, list) else ():
        if getattr(scheduler, 'need_val_args', False):
            yield type(scheduler).__name__, 'monitor', scheduler.monitor
