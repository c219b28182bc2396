"""What is trained on a frozen feature map: a decoder, a linear classifier and one with a hidden layer."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import torch
import torch.nn.functional as F
from mmseg.models.utils import resize
from torch import Tensor, nn

from infopro_seg.datasets.label_ids import IGNORED
from infopro_seg.datasets.seeding import fork_random
from infopro_seg.models.decoder import ReconstructionDecoder

HIDDEN = 128
STRIDE = 4  # classifiers train on every fourth label of each row and column, a sixteenth of the cost
CLASSIFIERS = ('linear', 'mlp')

P = TypeVar('P', bound=nn.Module)


class Probe(nn.Module):
    """The three readers of one block's feature map; none shares a weight with another.

    Feature maps are standardised per channel first, with statistics and no weights: their scales differ
    from block to block, and one learning rate would not do justice to all. The classifiers are 1x1
    convolutions, because a wider kernel would add context that the feature map itself does not hold at that
    pixel. Their logits are resized to the image, so that all depths are asked the same question; the
    resolution of a feature map is part of what it knows.

    Args:
        in_channels: channels of the feature map.
        num_classes: classes of the data.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        # frozen features do not drift: the mean of all batches is the best estimate
        self.standardise = nn.BatchNorm2d(in_channels, affine=False, momentum=None)
        self.decoder = ReconstructionDecoder(in_channels)  # of the paper's width
        self.linear = nn.Conv2d(in_channels, num_classes, 1)
        self.mlp = nn.Sequential(
            nn.Conv2d(in_channels, HIDDEN, 1), nn.ReLU(), nn.Conv2d(HIDDEN, num_classes, 1)
        )

    def forward(self, feature: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
        """Reads a feature map (N, C, h, w).

        Args:
            feature: the feature map.
            size: height and width of the image.

        Returns:
            Logits at the image's size: `image`, (N, 3, H, W), and for each classifier (N, classes, H, W).
        """
        feature = self.standardise(feature)
        return {'image': self.decoder(feature, size), **self._classify(feature, size)}

    def loss(self, feature: Tensor, image: Tensor, labels: Tensor) -> Tensor:
        """The sum of the three losses.

        Args:
            feature: the feature map, (N, C, h, w).
            image: RGB in [0, 1], (N, 3, H, W).
            labels: class indices, (N, H, W); 255 is ignored.
        """
        feature = self.standardise(feature)
        loss: Tensor = self.decoder.loss(feature, image)
        labels = labels[:, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]
        height, width = labels.shape[1:]
        labelled = (labels != IGNORED).sum().clamp(min=1)  # a crop may show nothing else
        for logits in self._classify(feature, (height, width)).values():
            summed = F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction='sum')
            loss = loss + summed / labelled
        return loss

    def _classify(self, standardised: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
        return {
            name: resize(
                getattr(self, name)(standardised), size, mode='bilinear', align_corners=False, warning=False
            )
            for name in CLASSIFIERS
        }


def build_probe(kind: Callable[[int, int], P], name: str, in_channels: int, num_classes: int, seed: int) -> P:
    """A probe whose initial weights depend on nothing but the arguments, e.g. not on the other blocks.

    Args:
        kind: builds it from the channels and the number of classes.
        name: name of the block.
        in_channels: channels of its feature map.
        num_classes: classes of the data.
        seed: seed of the weights.
    """
    with fork_random((seed, zlib.crc32(name.encode()))):
        return kind(in_channels, num_classes)


class ProbeOptimizer:
    """Adam on all probes, with a learning rate that falls to zero along a cosine.

    Args:
        probes: what to train.
        lr: learning rate of the first iteration.
        iterations: number of iterations.
    """

    def __init__(self, probes: Mapping[str, nn.Module], lr: float, iterations: int) -> None:
        self.lr, self.iterations, self.done = lr, iterations, 0
        self.adam = torch.optim.Adam([p for probe in probes.values() for p in probe.parameters()], lr=lr)

    def step(self, losses: Iterable[Tensor]) -> None:
        """One iteration; takes the losses one by one, so that one graph is alive at a time."""
        for group in self.adam.param_groups:
            group['lr'] = self.lr * (1 + math.cos(math.pi * self.done / self.iterations)) / 2
        self.adam.zero_grad()
        for loss in losses:
            torch.autograd.backward(loss)
        self.adam.step()
        self.done += 1
