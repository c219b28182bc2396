"""Scores of probes over a data set."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.evaluation import IoUMetric
from torch import Tensor

from infopro_seg.datasets.label_ids import IGNORED
from infopro_seg.errors import DataError


class ReconstructionScore:
    """Errors of reconstructed images: means over all pixels and channels of a data set."""

    def __init__(self) -> None:
        self.cross_entropy = self.squared = 0.0
        self.count = 0

    def add(self, logits: Tensor, image: Tensor) -> None:
        """Counts one image, (3, H, W) in [0, 1], and the logits of its reconstruction."""
        logits, image = logits.double(), image.double()
        self.cross_entropy += F.binary_cross_entropy_with_logits(logits, image, reduction='sum').item()
        self.squared += F.mse_loss(logits.sigmoid(), image, reduction='sum').item()
        self.count += image.numel()

    def result(self) -> dict[str, float | None]:
        """`bce`, `mse`, and `psnr`, which is that of the mean squared error, in dB."""
        return errors(self.cross_entropy / self.count, self.squared / self.count)


class ClassScore:
    """mIoU and pixel accuracy as mmseg counts them, without pixels labelled 255.

    Args:
        num_classes: classes of the data.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.areas = torch.zeros(4, num_classes, dtype=torch.double)  # intersection, union, predicted, true

    def add(self, predicted: Tensor, labels: Tensor) -> None:
        """Counts one image: class indices, (H, W)."""
        areas = IoUMetric.intersect_and_union(predicted, labels, self.num_classes, IGNORED)
        self.areas += torch.stack([area.double() for area in areas])

    def result(self) -> dict[str, float]:
        """`mIoU`, over the classes that occur or are predicted, and `accuracy`; both are fractions.

        Raises:
            DataError: no pixel has a label.
        """
        intersection, union, _, true = self.areas
        if not true.sum():
            raise DataError(
                'no pixel of the val split is labelled: all are 255, which is ignored; correct the labels, '
                'or give another config'
            )
        seen = union > 0
        return {
            'mIoU': float((intersection[seen] / union[seen]).mean()),
            'accuracy': float(intersection.sum() / true.sum()),
        }


class Ignorance:
    """The scores of the best guess that does not depend on the image: one colour, the most frequent class.

    Args:
        num_classes: classes of the data.
    """

    def __init__(self, num_classes: int) -> None:
        self.colour = torch.zeros(3, dtype=torch.double)
        self.squares = torch.zeros(3, dtype=torch.double)
        self.entropy = 0.0
        self.pixels = 0
        self.areas = torch.zeros(num_classes, dtype=torch.double)

    def add(self, image: Tensor, labels: Tensor) -> None:
        """Counts one image, (3, H, W) in [0, 1], and its labels, (H, W)."""
        image = image.double().cpu()
        self.colour += image.sum((1, 2))
        self.squares += image.square().sum((1, 2))
        self.entropy += _entropy(image).sum().item()
        self.pixels += image[0].numel()
        labelled = labels[labels != IGNORED].cpu()
        self.areas += torch.bincount(labelled.reshape(-1), minlength=len(self.areas))

    def result(self) -> dict[str, float | None]:
        """`bce`, `mse`, `psnr`, `mIoU`, `accuracy`; and `bce_floor`, the `bce` of perfect reconstructions."""
        mean = self.colour / self.pixels
        squared = float((self.squares / self.pixels - mean.square()).mean())
        share = float(self.areas.max() / self.areas.sum())
        return {
            **errors(float(_entropy(mean).mean()), squared),
            'bce_floor': self.entropy / (3 * self.pixels),
            'mIoU': share / int((self.areas > 0).sum()),
            'accuracy': share,
        }


def errors(cross_entropy: float, squared: float) -> dict[str, float | None]:
    """The errors of a reconstruction, per pixel and channel; `psnr` is None for a perfect one."""
    return {'bce': cross_entropy, 'mse': squared, 'psnr': -10 * math.log10(squared) if squared else None}


def result_of(reconstruction: ReconstructionScore, classes: dict[str, Any]) -> dict[str, Any]:
    """All scores of one block."""
    return {**reconstruction.result(), **{name: score.result() for name, score in classes.items()}}


def _entropy(value: Tensor) -> Tensor:
    """The binary cross-entropy of values in [0, 1] with themselves, element by element."""
    entropy: Tensor = torch.special.entr(value) + torch.special.entr(1 - value)
    return entropy
