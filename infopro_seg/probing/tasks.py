"""The task of a probe's classifiers: to predict the class of each pixel, or that of the whole image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from mmseg.models.utils import resize
from torch import Tensor

from infopro_seg.probing.probes import CLASSIFIERS, PixelProbe, Probe
from infopro_seg.probing.scores import ClassScore

Read: TypeAlias = Callable[[dict[str, Any]], float]
Panel: TypeAlias = tuple[str, str, Read]
Measure: TypeAlias = tuple[str, Read, str]

IMAGE: Panel = ('Image: reconstruction error', 'mean squared error', lambda row: row['mse'])
RECONSTRUCTION: tuple[Measure, ...] = (
    ('Reconstruction error: mean squared error of pixels in [0, 1]', lambda row: row['mse'], '.4f'),
    ('Reconstruction: PSNR, dB', lambda row: row['psnr'], '.2f'),
    ('Reconstruction: binary cross-entropy, nats', lambda row: row['bce'], '.4f'),
)


class ProbeTask:
    """What differs between the probes of segmentors and those of classifiers.

    Attributes:
        probe: builds a probe from the channels of a feature map and the number of classes.
        classifiers: the names of its classifiers.
        score: builds the score of one classifier from the number of classes.
        panels: the panels of the depth plot: title, unit, and a function from a block's scores to the value.
        measures: the tables: title, such a function, and the format of its value.
    """

    probe: Callable[[int, int], Probe]
    classifiers: tuple[str, ...]
    score: Callable[[int], Any]
    panels: tuple[Panel, ...]
    measures: tuple[Measure, ...]

    def label(self, sample: Any) -> Tensor:
        """The label of one sample: class indices (H, W), or one index."""
        raise NotImplementedError

    def predicted(self, logits: Tensor, part: Sequence[slice], label: Tensor) -> Tensor:
        """The classes that one classifier predicts for an image, in the shape of the image's label.

        Args:
            logits: the classifier's logits of the image: (classes, H, W), or (classes,) for a whole image.
            part: rows and columns of the padded image that are not padding.
            label: the label of the image: (H, W), or a scalar.
        """
        raise NotImplementedError


class PixelTask(ProbeTask):
    """The task of segmentors: the class of each pixel."""

    probe = PixelProbe
    classifiers = CLASSIFIERS
    score = ClassScore
    panels = (
        IMAGE,
        ('Classes: linear classifier', 'mIoU', lambda row: row['linear']['mIoU']),
        ('Classes: one hidden layer', 'mIoU', lambda row: row['mlp']['mIoU']),
    )
    measures = (
        *RECONSTRUCTION,
        ('mIoU of the linear classifier', lambda row: row['linear']['mIoU'], '.3f'),
        ('mIoU of the classifier with one hidden layer', lambda row: row['mlp']['mIoU'], '.3f'),
        ('Pixel accuracy of the linear classifier', lambda row: row['linear']['accuracy'], '.3f'),
        ('Pixel accuracy of the classifier with one hidden layer', lambda row: row['mlp']['accuracy'], '.3f'),
    )

    def label(self, sample: Any) -> Tensor:
        """The class of each pixel, (H, W)."""
        label: Tensor = sample.gt_sem_seg.data.squeeze(0)
        return label

    def predicted(self, logits: Tensor, part: Sequence[slice], label: Tensor) -> Tensor:
        """The classes that logits (classes, H, W) predict, at the size of the label, as mmseg evaluates."""
        logits = logits[tuple(part)]
        if logits.shape[1:] != label.shape:
            logits = resize(logits[None], label.shape, mode='bilinear', align_corners=False, warning=False)[0]
        return logits.argmax(0)


def batch_labels(task: ProbeTask, samples: Sequence[Any]) -> Tensor:
    """The labels of a batch of samples, which have one size, as int64."""
    return torch.stack([task.label(sample) for sample in samples]).long()
