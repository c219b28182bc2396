"""Probes of classifiers: what a feature map still knows of the class of the whole image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from infopro_seg.classification.head import ConvClassifierHead
from infopro_seg.classification.image_decoder import ImageDecoder
from infopro_seg.probing.probes import Probe
from infopro_seg.probing.tasks import IMAGE, RECONSTRUCTION, ProbeTask

CLASSIFIERS = ('linear', 'convs')
CHANNELS = 64  # of the convolutions of `convs`


class ImageProbe(Probe):
    """A probe whose classifiers, `linear` and `convs`, predict the class of the whole image.

    The decoder is that of the paper's classification networks. `linear` is a linear layer on the pooled
    feature map: what a classifier can read off at once. `convs` is the paper's "2c2f": what deeper layers can
    still make of the feature map.

    Args:
        in_channels: channels of the feature map.
        num_classes: classes of the data.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, ImageDecoder(in_channels))
        self.linear = ConvClassifierHead(in_channels, 0, num_classes, num_convs=0, num_linear=1)
        self.convs = ConvClassifierHead(in_channels, CHANNELS, num_classes, num_convs=2)

    def classify(self, standardised: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
        """The logits of each classifier, (N, classes)."""
        return {name: getattr(self, name)([standardised]) for name in CLASSIFIERS}

    def class_losses(self, standardised: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Yields the cross-entropy of each classifier; labels are (N,)."""
        for logits in self.classify(standardised, (1, 1)).values():
            yield F.cross_entropy(logits, labels)


class AccuracyScore:
    """Top-1 accuracy.

    Args:
        num_classes: classes of the data.
    """

    def __init__(self, num_classes: int) -> None:
        self.right = self.count = 0

    def add(self, predicted: Tensor, label: Tensor) -> None:
        """Counts one image: two class indices."""
        self.right += int(torch.eq(predicted, label))
        self.count += 1

    def result(self) -> dict[str, float]:
        """`accuracy`, a fraction."""
        return {'accuracy': self.right / self.count}


class ImageTask(ProbeTask):
    """The task of classifiers: the class of the whole image."""

    probe = ImageProbe
    classifiers = CLASSIFIERS
    score = AccuracyScore
    panels = (
        IMAGE,
        ('Classes: linear classifier', 'top-1 accuracy', lambda row: row['linear']['accuracy']),
        ('Classes: two convolutions', 'top-1 accuracy', lambda row: row['convs']['accuracy']),
    )
    measures = (
        *RECONSTRUCTION,
        ('Top-1 accuracy of the linear classifier', lambda row: row['linear']['accuracy'], '.3f'),
        (
            'Top-1 accuracy of the classifier with two convolutions',
            lambda row: row['convs']['accuracy'],
            '.3f',
        ),
    )

    def label(self, sample: Any) -> Tensor:
        """The index of the class, a scalar."""
        label: Tensor = sample.gt_label.reshape(())
        return label

    def predicted(self, logits: Tensor, part: Sequence[slice], label: Tensor) -> Tensor:
        """The class that logits (classes,) predict."""
        return logits.argmax(0)
