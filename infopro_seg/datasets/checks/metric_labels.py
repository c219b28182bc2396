"""Checks that a metric ignores the labels that are no classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mmengine.config import Config
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

from infopro_seg.datasets.building import class_of
from infopro_seg.datasets.label_ids import IGNORED
from infopro_seg.errors import ConfigError


def iou_metrics(config: Config, split: str) -> list[dict[str, Any]]:
    """The configs of a split's metrics that compare labels with predictions as mmseg's `IoUMetric` does."""
    evaluator = config.get(f'{split}_evaluator') or ()
    metrics = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]
    found = []
    for metric in metrics:
        kind = class_of(metric, METRICS)
        stock = isinstance(kind, type) and issubclass(kind, IoUMetric)
        stock = stock and getattr(kind, 'process', None) is IoUMetric.process
        if stock and not metric.get('format_only'):
            found.append(metric)
    return found


def require_ignored(
    metrics: Iterable[dict[str, Any]], labels: Iterable[int], classes: int, where: str
) -> None:
    """Checks that every label of an image is a class, or ignored by the metrics.

    Args:
        metrics: the configs of the metrics.
        labels: the labels that the image has.
        classes: the number of classes.
        where: the pipeline that loaded them, for the message.

    Raises:
        ConfigError: a metric would count the pixels of another label as wrong ones.
    """
    for metric in metrics:
        ignored = metric.get('ignore_index', IGNORED)
        outside = [label for label in labels if label >= classes and label != ignored]
        if outside:
            raise ConfigError(
                f'{where} gives the label {outside[0]}, which is not a class, but {metric["type"]} has '
                f'ignore_index={ignored} and would count its pixels as wrong; leave out ignore_index'
            )
