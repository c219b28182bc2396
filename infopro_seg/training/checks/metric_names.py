"""The metrics that a validation will report, and checks for hooks that wait for other ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from mmengine.hooks import CheckpointHook, EarlyStoppingHook
from mmseg.evaluation import IoUMetric

from infopro_seg.errors import ConfigError
from infopro_seg.evaluation.iou import ClassIoUMetric
from infopro_seg.spelling import did_you_mean

IOU_METRICS = ('mIoU', 'mDice', 'mFscore')


def metric_names(evaluator: Any, split: str = 'val') -> set[str] | None:
    """The names of the metrics that an evaluator will report; None if only an evaluation can tell.

    Raises:
        ConfigError: mmseg does not know a metric, or two report the same.
    """
    names: set[str] = set()
    for metric in evaluator.metrics:
        known = (IoUMetric.compute_metrics, ClassIoUMetric.compute_metrics)
        if not isinstance(metric, IoUMetric) or type(metric).compute_metrics not in known:
            return None
        if type(metric).total_area_to_metrics is not IoUMetric.total_area_to_metrics:
            return None  # the user's own may know other metrics
        wanted = [metric.metrics] if isinstance(metric.metrics, str) else list(metric.metrics)
        for name in set(wanted) - set(IOU_METRICS):
            hint = did_you_mean(name, IOU_METRICS) or f'; there are {", ".join(IOU_METRICS)}'
            raise ConfigError(f'iou_metrics={wanted} of {split}_evaluator: there is no {name}{hint}')
        area = torch.ones(2)
        reported = metric.total_area_to_metrics(
            area, area, area, area, wanted, metric.nan_to_num, metric.beta
        )
        if metric.format_only:
            continue
        prefix = f'{metric.prefix}/' if metric.prefix else ''
        found = {f'{prefix}{key if key == "aAcc" else f"m{key}"}' for key in reported}
        if names & found:
            raise ConfigError(
                f'two metrics of {split}_evaluator report {min(names & found)}; give one a prefix, e.g. '
                "prefix='second'"
            )
        names |= found
    return names


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
