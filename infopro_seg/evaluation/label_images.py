"""Predictions as label images, in the ids of the data set they were made for."""

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
    """No metric: writes a label image of each prediction, beside whatever else evaluates it.

    Args:
        folder: where to.
        names: the path below the folder for each `img_path`.
        ids: the id that is written for each class index.
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
        """Says how many there are; there is nothing to measure."""
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
    """The id that the label images of a data set hold for each class index, uint8 or uint16.

    That is the index itself, unless the data set reads its files otherwise: with `reduce_zero_label` ids
    begin with 1, with a `label_map` (some of the classes, or another order) each class has that of the whole
    data set. Cityscapes has ids of its own (road is 7), which its evaluation server and
    `csEvalPixelLevelSemanticLabeling` read.

    Args:
        meta: the `metainfo` of a data set of mmseg, or what a checkpoint keeps of it.
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
