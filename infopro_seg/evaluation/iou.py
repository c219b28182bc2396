"""mIoU as mmseg computes it, with what its table prints also kept for programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.logging import MessageHub
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS

from infopro_seg.evaluation.label_images import write_label_image

CLASS_IOU = 'class_iou'  # the key of the per-class IoU in mmengine's message hub


@METRICS.register_module()
class ClassIoUMetric(IoUMetric):
    """mmseg's `IoUMetric`; keeps each class's IoU, and writes label images in the data set's ids.

    Args:
        label_dir: a folder for one label image per prediction, named after its image; None for none.
        kwargs: the arguments of `IoUMetric`.
    """

    def __init__(self, label_dir: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.label_dir = label_dir

    def process(self, data_batch: dict[str, Any], data_samples: Sequence[dict[str, Any]]) -> None:
        """Adds a batch of predictions."""
        super().process(data_batch, data_samples)
        if self.label_dir is not None:
            for sample in data_samples:
                prediction = sample['pred_sem_seg']['data'].squeeze(0).cpu().numpy()
                path = Path(self.label_dir) / f'{Path(sample["img_path"]).stem}.png'
                write_label_image(path, prediction, self.dataset_meta['classes'])

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """mmseg's metrics in percent; IoU as fractions under `class_iou` in the message hub."""
        if results and is_main_process():
            intersection, union = (
                torch.stack([result[part] for result in results]).double().sum(0) for part in (0, 1)
            )
            iou = (intersection / union).numpy()  # NaN for a class that is nowhere
            classes = dict(zip(self.dataset_meta['classes'], iou.tolist(), strict=True))
            hub = MessageHub.get_current_instance()
            hub.update_info(CLASS_IOU, {'mIoU': float(np.nanmean(iou)), 'classes': classes}, resumed=False)
        metrics: dict[str, float] = super().compute_metrics(results)
        return metrics
