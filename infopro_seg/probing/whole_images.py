"""What is trained on a frozen feature map of a classifier: a decoder and two classifiers of whole images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from infopro_seg.classification.head import ConvClassifierHead
from infopro_seg.classification.image_decoder import ImageDecoder
from infopro_seg.probing.tasks import IMAGE, RECONSTRUCTION, ProbeTask

READERS = ('linear', 'convs')
CHANNELS = 64  # of the convolutions


class ImageProbe(nn.Module):
    """The three readers of one block's feature map in a classifier; none shares a weight with another.

    Feature maps are standardised per channel first, with statistics and no weights. The decoder is that of
    the paper's classification networks. `linear` is a linear layer on the pooled feature map, which says
    what a classifier could read off at once; `convs`, the paper's "2c2f", what deeper layers could still make
    of it.

    Args:
        in_channels: channels of the feature map.
        num_classes: classes of the data.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        # frozen features do not drift: the mean of all batches is the best estimate
        self.standardise = nn.BatchNorm2d(in_channels, affine=False, momentum=None)
        self.decoder = ImageDecoder(in_channels)
        self.linear = ConvClassifierHead(in_channels, 0, num_classes, num_convs=0, num_linear=1)
        self.convs = ConvClassifierHead(in_channels, CHANNELS, num_classes, num_convs=2)

    def forward(self, feature: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
        """Reads a feature map (N, C, h, w).

        Args:
            feature: the feature map.
            size: height and width of the image.

        Returns:
            Logits: `image`, (N, 3, H, W), and for each classifier (N, classes).
        """
        feature = self.standardise(feature)
        return {'image': self.decoder(feature, size), **self._classify(feature)}

    def loss(self, feature: Tensor, image: Tensor, labels: Tensor) -> Tensor:
        """The sum of the three losses.

        Args:
            feature: the feature map, (N, C, h, w).
            image: RGB in [0, 1], (N, 3, H, W).
            labels: class indices, (N,).
        """
        feature = self.standardise(feature)
        loss: Tensor = self.decoder.loss(feature, image)
        for logits in self._classify(feature).values():
            loss = loss + F.cross_entropy(logits, labels)
        return loss

    def _classify(self, standardised: Tensor) -> dict[str, Tensor]:
        return {name: getattr(self, name)([standardised]) for name in READERS}


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
    """The class of the whole image."""

    probe = ImageProbe
    classifiers = READERS
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
