"""mIoU as mmseg computes it, with what its table prints also kept for programs."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.logging import MessageHub
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

CLASS_IOU = 'class_iou'  # the key of the per-class IoU in mmengine's message hub


@METRICS.register_module()
class ClassIoUMetric(IoUMetric):
    """mmseg's `IoUMetric`; keeps each class's IoU."""

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """mmseg's metrics in percent; IoU as fractions under `class_iou` in the message hub."""
        if results and is_main_process():
            intersection, union = (
                torch.stack([result[part] for result in results]).double().sum(0) for part in (0, 1)
            )
            iou = intersection / union  # NaN for a class that is nowhere
            classes = dict(zip(self.dataset_meta['classes'], iou.tolist(), strict=True))
            hub = MessageHub.get_current_instance()
            hub.update_info(CLASS_IOU, {'mIoU': iou.nanmean().item(), 'classes': classes}, resumed=False)
        metrics: dict[str, float] = super().compute_metrics(results)
        return metrics
