"""Probes: small networks that are trained on a frozen feature map, to see what it contains."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from mmseg.models.utils import resize
from torch import Tensor, nn

from infopro_seg.datasets.label_ids import IGNORED
from infopro_seg.datasets.seeding import fork_random
from infopro_seg.models.local_heads.decoder import ReconstructionDecoder

HIDDEN = 128
STRIDE = 4  # classifiers train on every fourth label of each row and column, at a sixteenth of the cost
CLASSIFIERS = ('linear', 'mlp')


class Probe(nn.Module):
    """Reads one block's feature map with a decoder of the image and two classifiers, which share no weight.

    Feature maps are standardised per channel first, by their statistics and without weights: their scales
    differ from block to block, and no single learning rate would suit them all.

    Args:
        in_channels: channels of the feature map.
        decoder: reconstructs the image from a standardised feature map.
    """

    def __init__(self, in_channels: int, decoder: nn.Module) -> None:
        super().__init__()
        # frozen features do not drift: the mean of all batches is the best estimate
        self.standardise = nn.BatchNorm2d(in_channels, affine=False, momentum=None)
        self.decoder: Any = decoder

    def forward(self, feature: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
        """Reads a feature map.

        Args:
            feature: the feature map, (N, C, h, w).
            size: height and width of the image, in pixels.

        Returns:
            Logits: `image`, (N, 3, H, W), and those of each classifier by its name.
        """
        feature = self.standardise(feature)
        return {'image': self.decoder(feature, size), **self.classify(feature, size)}

    def loss(self, feature: Tensor, image: Tensor, labels: Tensor) -> Tensor:
        """The sum of the losses of decoder and classifiers.

        Args:
            feature: the feature map, (N, C, h, w).
            image: RGB in [0, 1], (N, 3, H, W).
            labels: class indices, as :meth:`class_losses` takes them.
        """
        feature = self.standardise(feature)
        loss: Tensor = self.decoder.loss(feature, image)
        for class_loss in self.class_losses(feature, labels):
            loss = loss + class_loss
        return loss

    def classify(self, standardised: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
        """The logits of each classifier, by its name.

        Args:
            standardised: the standardised feature map, (N, C, h, w).
            size: height and width of the logits, where they are maps.
        """
        raise NotImplementedError

    def class_losses(self, standardised: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Yields the loss of each classifier.

        Args:
            standardised: the standardised feature map, (N, C, h, w).
            labels: class indices.
        """
        raise NotImplementedError


class PixelProbe(Probe):
    """A probe whose classifiers, `linear` and `mlp`, predict the class of each pixel.

    They are 1x1 convolutions: a wider kernel would add context that the feature map does not hold at that
    pixel. Their logits (N, classes, H, W) are resized to the image, so that all depths have the same task;
    the resolution of a feature map is part of what it knows.

    Args:
        in_channels: channels of the feature map.
        num_classes: classes of the data.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, ReconstructionDecoder(in_channels))  # of the paper's width
        self.linear = nn.Conv2d(in_channels, num_classes, 1)
        self.mlp = nn.Sequential(
            nn.Conv2d(in_channels, HIDDEN, 1), nn.ReLU(), nn.Conv2d(HIDDEN, num_classes, 1)
        )

    def class_losses(self, standardised: Tensor, labels: Tensor) -> Iterator[Tensor]:
        """Yields the cross-entropy of each classifier; labels are (N, H, W), and 255 is ignored."""
        labels = labels[:, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]
        height, width = labels.shape[1:]
        labelled = (labels != IGNORED).sum().clamp(min=1)  # a crop may have no labelled pixel
        for logits in self.classify(standardised, (height, width)).values():
            yield F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction='sum') / labelled

    def classify(self, standardised: Tensor, size: tuple[int, int]) -> dict[str, Tensor]:
        """The logits of each classifier, (N, classes, H, W)."""
        return {
            name: resize(
                getattr(self, name)(standardised), size, mode='bilinear', align_corners=False, warning=False
            )
            for name in CLASSIFIERS
        }


P = TypeVar('P', bound=Probe)


def build_probe(kind: Callable[[int, int], P], name: str, in_channels: int, num_classes: int, seed: int) -> P:
    """A probe whose initial weights depend only on the arguments, not on other probes.

    Args:
        kind: builds a probe from the channels and the number of classes.
        name: name of the block.
        in_channels: channels of the block's feature map.
        num_classes: classes of the data.
        seed: seed of the weights.
    """
    with fork_random((seed, zlib.crc32(name.encode()))):
        return kind(in_channels, num_classes)


class ProbeOptimizer:
    """Adam on all probes, with a learning rate that falls to zero along a cosine.

    Args:
        probes: the probes to train.
        lr: learning rate of the first iteration.
        iterations: number of iterations.
    """

    def __init__(self, probes: Mapping[str, nn.Module], lr: float, iterations: int) -> None:
        self.lr, self.iterations, self.done = lr, iterations, 0
        self.adam = torch.optim.Adam([p for probe in probes.values() for p in probe.parameters()], lr=lr)

    def step(self, losses: Iterable[Tensor]) -> None:
        """Runs one iteration; takes the losses one by one, so that only one graph is alive at a time."""
        for group in self.adam.param_groups:
            group['lr'] = self.lr * (1 + math.cos(math.pi * self.done / self.iterations)) / 2
        self.adam.zero_grad()
        for loss in losses:
            torch.autograd.backward(loss)
        self.adam.step()
        self.done += 1
