"""The metrics that an evaluation will report."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from mmseg.evaluation import IoUMetric

from infopro_seg.errors import ConfigError
from infopro_seg.evaluation.iou import ClassIoUMetric
from infopro_seg.spelling import did_you_mean

IOU_METRICS = ('mIoU', 'mDice', 'mFscore')


def metric_names(evaluator: Any, split: str = 'val', num_classes: int | None = None) -> set[str] | None:
    """The names of the metrics that an evaluator will report; None if only an evaluation can tell.

    Args:
        evaluator: mmengine's, with its metrics built.
        split: val or test, for the message.
        num_classes: number of classes, for the metrics of a classifier.

    Raises:
        ConfigError: a metric is not known or cannot judge so many classes, or two report the same.
    """
    names: set[str] = set()
    for metric in evaluator.metrics:
        if type(metric).__module__.startswith('mmpretrain.') and num_classes is not None:
            found = _class_names(metric, num_classes, split)
        else:
            found = _iou_names(metric, split)
        if found is None:
            return None
        if names & found:
            raise ConfigError(
                f'two metrics of {split}_evaluator report {min(names & found)}; give one a prefix, e.g. '
                "prefix='second'"
            )
        names |= found
    return names


def _iou_names(metric: Any, split: str) -> set[str] | None:
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
    reported = metric.total_area_to_metrics(area, area, area, area, wanted, metric.nan_to_num, metric.beta)
    if metric.format_only:
        return set()
    prefix = f'{metric.prefix}/' if metric.prefix else ''
    return {f'{prefix}{key if key == "aAcc" else f"m{key}"}' for key in reported}


def _class_names(metric: Any, num_classes: int, split: str) -> set[str] | None:
    """The names of what a classifier's metric reports: it judges one made-up image."""
    from mmpretrain.evaluation import Accuracy, SingleLabelMetric
    from mmpretrain.structures import DataSample

    if type(metric) not in (Accuracy, SingleLabelMetric):
        return None  # one for several labels
    trial = deepcopy(metric)
    made_up = DataSample().set_gt_label(0).set_pred_score(torch.full((num_classes,), 1 / num_classes))
    trial.process(None, [made_up.to_dict()])
    try:
        found = trial.compute_metrics(trial.results)
    except (AssertionError, ValueError) as error:  # as of top-5 accuracy with three classes
        kind = type(metric).__name__
        raise ConfigError(f'the {kind} in {split}_evaluator of the config: {error}') from error
    return {f'{metric.prefix}/{name}' if metric.prefix else name for name in found}
