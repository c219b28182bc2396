"""Runs networks window by window, so that the image need not be in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from infopro_seg.logit_maps.array_maths import class_indices
from infopro_seg.logit_maps.row_maps import Box, CroppedMap, RowMap, Scores, SlidingMap, bands

Size = tuple[int, int]
"""Height and width in pixels."""

Read = Callable[[Box], np.ndarray]
"""Reads a window of an image, (h, w, 3) BGR uint8, without the part beyond the image."""


class WindowNetwork(Protocol):
    """A network that segments windows of an image.

    Args:
        align_corners: how its logits are resized to a window.
        channels: number of channels of its logits; with 1, `threshold` separates the two classes.
        window: the size of windows, for images that are not read as a whole.
        stride: step between windows, in rows and in columns.
        batch: number of windows to compute at once.
    """

    align_corners: bool
    channels: int
    threshold: float
    window: Size
    stride: Size
    batch: int

    def padded(self, size: Size) -> Size:
        """The size to which an image is padded, at the right and at the bottom."""
        ...

    def logits(self, pixels: Sequence[np.ndarray], size: Size) -> Sequence[Scores]:
        """The logits of some windows, each (C, h, w).

        Args:
            pixels: the windows, (h, w, 3) BGR uint8, without padding.
            size: size of the windows with padding.
        """
        ...


def window_map(network: WindowNetwork, read: Read, size: Size, window: Size | None = None) -> RowMap:
    """The logits of an image, to be read a band of rows at a time from the top down.

    Args:
        network: the network.
        read: reads a window of the image.
        size: size of the image.
        window: size of windows, in place of the network's.
    """
    height, width = network.padded(size)
    stride = network.stride if window is None else window
    window = window or network.window

    def compute(boxes: Sequence[Box]) -> Sequence[Scores]:
        rows, columns = boxes[0]
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        return network.logits([read(box) for box in boxes], shape)

    logits = SlidingMap(compute, (height, width), window, stride, network.align_corners, network.batch)
    return CroppedMap(logits, 0, width - size[1], 0, height - size[0])


def label_bands(network: WindowNetwork, logits: RowMap, step: int | None = None) -> Iterator[np.ndarray]:
    """The class indices of an image, one band of rows at a time from the top: (rows, W) int16.

    Args:
        network: the network that computed the logits.
        logits: logits at the size of the image.
        step: a band ends at each multiple of this number. If it is the stride of the windows, a band needs no
            window that begins below it, so all rows above the first unreadable window get labels.
    """
    height, width = logits.size
    step = step or height
    for top in range(0, height, step):
        for start, stop in bands((min(step, height - top), width), network.channels):
            yield class_indices(logits(top + start, top + stop), network.threshold)


def two_thirds(window: Size) -> Size:
    """The stride with which neighbouring windows overlap by a third."""
    return (max(1, window[0] - window[0] // 3), max(1, window[1] - window[1] // 3))
