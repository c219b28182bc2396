"""Maps of logits that are read a band of rows at a time, so that none of them ever exists whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from infopro_seg.errors import ConfigError

Box = tuple[slice, slice]
"""Rows and columns of an image."""


class RowMap(Protocol):
    """A map of C channels, of which rows can be asked for."""

    size: tuple[int, int]

    def __call__(self, start: int, stop: int) -> Tensor:
        """The rows from `start` to `stop`, (C, stop - start, W)."""
        ...


class StoredMap:
    """A map that is there: (C, H, W)."""

    def __init__(self, stored: Tensor) -> None:
        self.stored = stored
        self.size = (stored.shape[1], stored.shape[2])

    def __call__(self, start: int, stop: int) -> Tensor:
        """See :class:`RowMap`."""
        return self.stored[:, start:stop]


class ResizedMap:
    """Another map resized as `torch.nn.functional.interpolate` does in mode `bilinear`.

    Maps of half precision are resized in single precision.

    Args:
        source: the map.
        size: height and width to resize to.
        align_corners: as for `interpolate`.
    """

    def __init__(self, source: RowMap, size: tuple[int, int], align_corners: bool) -> None:
        self.source, self.size, self.align_corners = source, (size[0], size[1]), align_corners

    def __call__(self, start: int, stop: int) -> Tensor:
        """See :class:`RowMap`."""
        height, width = self.source.size
        if self.size == (height, width):
            return self.source(start, stop)
        if height == self.size[0]:
            rows = _single(self.source(start, stop))
        else:
            before, after, share = _rows_read(height, self.size[0], start, stop, self.align_corners)
            rows = _single(self.source(int(before[0]), int(after[-1]) + 1))
            upper, lower = (
                rows.index_select(1, torch.as_tensor(index - before[0], device=rows.device))
                for index in (before, after)
            )
            weight = torch.as_tensor(share, dtype=rows.dtype, device=rows.device)
            rows = torch.lerp(upper, lower, weight.view(-1, 1))
        if width != self.size[1]:
            size = (stop - start, self.size[1])
            rows = F.interpolate(rows[None], size, mode='bilinear', align_corners=self.align_corners)[0]
        return rows


class CroppedMap:
    """Another map without some rows and columns at its borders.

    Args:
        source: the map.
        left, right, top, bottom: numbers of columns and rows to leave out.
    """

    def __init__(self, source: RowMap, left: int, right: int, top: int, bottom: int) -> None:
        height, width = source.size
        self.source, self.top, self.columns = source, top, slice(left, width - right)
        self.size = (height - top - bottom, width - left - right)

    def __call__(self, start: int, stop: int) -> Tensor:
        """See :class:`RowMap`."""
        return self.source(self.top + start, self.top + stop)[..., self.columns]


class FlippedMap:
    """Another map flipped.

    Args:
        source: the map.
        direction: `horizontal` or `vertical`.

    Raises:
        ConfigError: the direction is another.
    """

    def __init__(self, source: RowMap, direction: str) -> None:
        if direction not in ('horizontal', 'vertical'):
            raise ConfigError(
                f'a prediction of an image flipped by flip_direction={direction!r} cannot be turned back; '
                "in the test pipeline take 'horizontal' or 'vertical'"
            )
        self.source, self.size, self.vertical = source, source.size, direction == 'vertical'

    def __call__(self, start: int, stop: int) -> Tensor:
        """See :class:`RowMap`."""
        if self.vertical:
            height = self.size[0]
            return self.source(height - stop, height - start).flip(1)
        return self.source(start, stop).flip(2)


class SlidingMap:
    """The mean of the logits of overlapping windows.

    It holds the logits of those windows only that the rows asked for last lie in, as small as the network
    gives them. Ask for rows from the top down, or from the bottom up: each window is computed once then.

    Args:
        compute: the logits of some windows, each (C, h, w).
        size: height and width of the image.
        window: height and width of a window; cut down to the image's.
        stride: step between windows, in rows and in columns.
        align_corners: how logits are resized to the window.
        batch: number of windows that are computed at once.
    """

    def __init__(
        self,
        compute: Callable[[Sequence[Box]], Sequence[Tensor]],
        size: tuple[int, int],
        window: tuple[int, int],
        stride: tuple[int, int],
        align_corners: bool,
        batch: int = 1,
    ) -> None:
        self.compute, self.size, self.align_corners, self.batch = (
            compute,
            (size[0], size[1]),
            align_corners,
            batch,
        )
        self.window = (min(window[0], size[0]), min(window[1], size[1]))
        self.tops, self.lefts = (window_starts(*axis) for axis in zip(size, self.window, stride, strict=True))
        self.held: dict[int, list[RowMap]] = {}

    def __call__(self, start: int, stop: int) -> Tensor:
        """See :class:`RowMap`."""
        height, width = self.window
        needed = [top for top in self.tops if top < stop and top + height > start]
        self.held = {top: row for top, row in self.held.items() if top in needed}
        for top in needed:
            if top not in self.held:
                self.held[top] = self._row(top)
        like = self.held[needed[0]][0](0, 1)
        total = like.new_zeros(len(like), stop - start, self.size[1])
        count = like.new_zeros(stop - start, self.size[1])
        for top in needed:
            first, last = max(start - top, 0), min(stop - top, height)
            rows = slice(top + first - start, top + last - start)
            for left, logits in zip(self.lefts, self.held[top], strict=True):
                columns = slice(left, left + width)
                total[:, rows, columns] += logits(first, last)
                count[rows, columns] += 1
        return total.div_(count)

    def _row(self, top: int) -> list[RowMap]:
        """The logits of the windows that begin in a row."""
        height, width = self.window
        boxes = [(slice(top, top + height), slice(left, left + width)) for left in self.lefts]
        found: list[RowMap] = []
        for at in range(0, len(boxes), self.batch):
            for logits in self.compute(boxes[at : at + self.batch]):
                found.append(ResizedMap(StoredMap(logits), self.window, self.align_corners))
        return found


class MeanProbabilities:
    """The mean over several maps of the classes' probabilities.

    Args:
        maps: logits of the same size.
    """

    def __init__(self, maps: Sequence[RowMap]) -> None:
        self.maps, self.size = maps, maps[0].size

    def __call__(self, start: int, stop: int) -> Tensor:
        """See :class:`RowMap`."""
        total: Tensor | None = None
        for logits in self.maps:
            probabilities = as_probabilities(logits(start, stop))
            total = probabilities if total is None else total.add_(probabilities)
        assert total is not None
        return total.div_(len(self.maps))


def _single(rows: Tensor) -> Tensor:
    """Rows of half precision in single precision, others as they are."""
    return rows.float() if rows.dtype in (torch.float16, torch.bfloat16) else rows


def _rows_read(
    short: int, length: int, start: int, stop: int, align_corners: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What linear resizing of `short` rows to `length` reads for some of them, as `interpolate` defines it.

    Returns:
        For each row from `start` to `stop`, the row read before it, the one after it, and the latter's share.
    """
    position = np.arange(start, stop, dtype=np.float64)
    if align_corners:
        position = position * ((short - 1) / max(length - 1, 1))
    else:
        position = np.maximum((position + 0.5) * (short / length) - 0.5, 0)
    before = np.minimum(position.astype(np.int64), short - 1)
    return before, np.minimum(before + 1, short - 1), position - before


def as_probabilities(logits: Tensor) -> Tensor:
    """The probabilities of the classes, or of the foreground if there is one channel: (C, H, W)."""
    return logits.softmax(0) if logits.shape[0] > 1 else logits.sigmoid()


def window_starts(size: int, window: int, stride: int) -> list[int]:
    """Where mmseg's windows along an axis begin: the last one ends with the image."""
    count = max(size - window + stride - 1, 0) // stride + 1
    return [max(min(index * stride + window, size) - window, 0) for index in range(count)]
