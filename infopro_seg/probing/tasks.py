"""What the classifiers of probes are asked: the class of each pixel, or that of the whole image."""

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
    """What differs between probes of segmentors and of classifiers.

    Attributes:
        probe: builds a probe from the channels of a feature map and the number of classes.
        classifiers: the names of its classifiers.
        score: builds what counts one classifier's predictions, from the number of classes.
        panels: the pictures of depth: title, unit, and what is read of a block's scores.
        measures: the tables: title, what is read, and its format.
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
        """The classes that one classifier's logits of an image predict, of the shape of its label.

        Args:
            logits: of one image, as the probe gives them.
            part: where the image lies in a padded one.
            label: its label.
        """
        raise NotImplementedError


class PixelTask(ProbeTask):
    """The class of each pixel."""

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
        """The classes that logits (classes, H, W) predict, at the size of the labels, as mmseg evaluates."""
        logits = logits[tuple(part)]
        if logits.shape[1:] != label.shape:
            logits = resize(logits[None], label.shape, mode='bilinear', align_corners=False, warning=False)[0]
        return logits.argmax(0)


def batch_labels(task: ProbeTask, samples: Sequence[Any]) -> Tensor:
    """The labels of a batch of samples of one size, int64."""
    return torch.stack([task.label(sample) for sample in samples]).long()
