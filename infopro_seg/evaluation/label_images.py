"""Writes predictions as label images, in the ids of their data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cityscapesscripts.helpers.labels import trainId2label
from mmengine.dist import is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from infopro_seg.evaluation.label_files import write_label_image

CITYSCAPES = tuple(trainId2label[index].name for index in range(19))


class LabelImages(BaseMetric):
    """A metric that measures nothing: it writes a label image of each prediction.

    Args:
        folder: the folder to write to.
        names: the path below the folder for each `img_path`.
        ids: the id to write for each class index.
    """

    default_prefix = 'label_images'

    def __init__(self, folder: str, names: Mapping[str, str], ids: Sequence[int]) -> None:
        super().__init__()
        self.folder, self.names = Path(folder), names
        self.ids = np.array(ids, dtype=np.uint8 if max(ids) < 256 else np.uint16)

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Writes the label images of a batch."""
        for sample in data_samples:
            name = self.names[sample['img_path']]
            write_label_image(self.folder / name, class_indices(sample['pred_sem_seg']['data']), self.ids)
            self.results.append(name)

    def compute_metrics(self, results: list[str]) -> dict[str, float]:
        """Logs the number of label images; there are no metrics."""
        if is_main_process():
            logger = MMLogger.get_current_instance()
            logger.info(f'{len(set(results))} label images written to {self.folder}')
        return {}


def class_indices(prediction: Any) -> np.ndarray:
    """A prediction of mmseg's, (1, H, W) or (H, W) of any type, as class indices, (H, W) of integers."""
    if prediction.is_floating_point():
        prediction = prediction.to(torch.int16)
    indices: np.ndarray = prediction.reshape(prediction.shape[-2:]).cpu().numpy()
    return indices


def label_ids(meta: Mapping[str, Any]) -> np.ndarray:
    """The id in the label images of a data set for each class index, (classes,) uint8 or uint16.

    By default this is the index itself. With `reduce_zero_label` ids begin with 1. With a `label_map` (some
    of the classes, or another order) each class has the id of the whole data set. Cityscapes has its own ids
    (road is 7), which its evaluation server and `csEvalPixelLevelSemanticLabeling` read.

    Args:
        meta: the `metainfo` of a data set of mmseg, or the part of it in a checkpoint.
    """
    classes = list(meta['classes'])
    ids = list(range(len(classes)))
    label_map = meta.get('label_map')
    if label_map:
        stored = {new: old for old, new in sorted(label_map.items(), reverse=True)}
        ids = [int(stored.get(index, index)) for index in ids]
    if (label_map or len(classes) == len(CITYSCAPES)) and classes == [*map(_cityscapes_name, ids)]:
        return np.array([trainId2label[index].id for index in ids], dtype=np.uint8)
    if meta.get('reduce_zero_label'):
        ids = [index + 1 for index in ids]
    return np.array(ids, dtype=np.uint8 if max(ids, default=0) < 256 else np.uint16)


def _cityscapes_name(index: int) -> str | None:
    return CITYSCAPES[index] if index < len(CITYSCAPES) else None
