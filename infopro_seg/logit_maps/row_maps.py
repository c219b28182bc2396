"""Maps of logits that are read a band of rows at a time, so that none of them ever exists whole.

They hold arrays of numpy, as exported networks give them on machines without torch, or tensors once
:mod:`infopro_seg.models.row_maps` is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

from infopro_seg.logit_maps.array_maths import as_single, blend_rows, resize_columns, rows_read, zeros

BAND_BYTES = 16 * 2**20  # of the scores of a band

Box = tuple[slice, slice]
"""Rows and columns of an image."""

Scores: TypeAlias = Any
"""An array or a tensor, (C, H, W)."""


class RowMap(Protocol):
    """A map of C channels, of which rows can be asked for."""

    size: tuple[int, int]

    def __call__(self, start: int, stop: int) -> Scores:
        """The rows from `start` to `stop`, (C, stop - start, W)."""
        ...


class StoredMap:
    """A map that is there: (C, H, W)."""

    def __init__(self, stored: Scores) -> None:
        self.stored = stored
        self.size = (stored.shape[1], stored.shape[2])

    def __call__(self, start: int, stop: int) -> Scores:
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

    def __call__(self, start: int, stop: int) -> Scores:
        """See :class:`RowMap`."""
        height, width = self.source.size
        if self.size == (height, width):
            return self.source(start, stop)
        if height == self.size[0]:
            rows = as_single(self.source(start, stop))
        else:
            before, after, share = rows_read(height, self.size[0], start, stop, self.align_corners)
            first = int(before[0])
            rows = as_single(self.source(first, int(after[-1]) + 1))
            rows = blend_rows(rows, before - first, after - first, share)
        if width != self.size[1]:
            rows = resize_columns(rows, self.size[1], self.align_corners)
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

    def __call__(self, start: int, stop: int) -> Scores:
        """See :class:`RowMap`."""
        return self.source(self.top + start, self.top + stop)[..., self.columns]


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
        compute: Callable[[Sequence[Box]], Sequence[Scores]],
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

    def __call__(self, start: int, stop: int) -> Scores:
        """See :class:`RowMap`."""
        height, width = self.window
        needed = [top for top in self.tops if top < stop and top + height > start]
        self.held = {top: row for top, row in self.held.items() if top in needed}
        for top in needed:
            if top not in self.held:
                self.held[top] = self._row(top)
        like = as_single(self.held[needed[0]][0](0, 1))  # sums of half precision would be coarse
        total = zeros(like, (len(like), stop - start, self.size[1]))
        count = zeros(like, (stop - start, self.size[1]))
        for top in needed:
            first, last = max(start - top, 0), min(stop - top, height)
            rows = slice(top + first - start, top + last - start)
            for left, logits in self._across(top):
                columns = slice(left, left + width)
                total[:, rows, columns] += logits(first, last)
                count[rows, columns] += 1
        total /= count
        return total

    def _across(self, top: int) -> Iterator[tuple[int, RowMap]]:
        """The windows that begin in a row: their first columns and their logits."""
        return zip(self.lefts, self.held[top], strict=True)

    def _row(self, top: int) -> list[RowMap]:
        """The logits of the windows that begin in a row."""
        height, width = self.window
        boxes = [(slice(top, top + height), slice(left, left + width)) for left in self.lefts]
        found: list[RowMap] = []
        for at in range(0, len(boxes), self.batch):
            for logits in self.compute(boxes[at : at + self.batch]):
                found.append(ResizedMap(StoredMap(logits), self.window, self.align_corners))
        return found


def window_starts(size: int, window: int, stride: int) -> list[int]:
    """Where mmseg's windows along an axis begin: the last one ends with the image."""
    count = max(size - window + stride - 1, 0) // stride + 1
    return [max(min(index * stride + window, size) - window, 0) for index in range(count)]


def bands(size: tuple[int, int], channels: int) -> Iterator[tuple[int, int]]:
    """Cuts a map into bands of rows, each a (start, stop), of about `BAND_BYTES` in single precision.

    Args:
        size: height and width.
        channels: of the map.
    """
    height, width = size
    rows = max(1, BAND_BYTES // (4 * channels * width))
    for start in range(0, height, rows):
        yield start, min(start + rows, height)
