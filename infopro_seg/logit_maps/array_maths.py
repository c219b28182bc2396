"""What maps of logits compute, for arrays of numpy; :mod:`infopro_seg.models.row_maps` adds tensors."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np


@singledispatch
def as_single(rows: Any) -> Any:
    """Rows of half precision in single precision, others as they are."""
    raise TypeError(f'no logits: {type(rows).__name__}')


@singledispatch
def blend_rows(rows: Any, before: np.ndarray, after: np.ndarray, share: np.ndarray) -> Any:
    """New rows of (C, h, W), each between two of the old ones: (C, len(before), W).

    Args:
        rows: the old ones.
        before: for each new row, the number of the first of both.
        after: of the second.
        share: of the second in the new row, 0 to 1.
    """
    raise TypeError(f'no logits: {type(rows).__name__}')


@singledispatch
def resize_columns(rows: Any, width: int, align_corners: bool) -> Any:
    """Rows (C, h, w) resized bilinearly to (C, h, width), as `torch.nn.functional.interpolate` does it."""
    raise TypeError(f'no logits: {type(rows).__name__}')


@singledispatch
def zeros(like: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of the same kind."""
    raise TypeError(f'no logits: {type(like).__name__}')


@singledispatch
def class_indices(scores: Any, threshold: float) -> np.ndarray:
    """The class of each pixel, (h, W) int16, of its scores (C, h, W).

    Args:
        scores: logits.
        threshold: of the sigmoid, above which a pixel is of the second class if there is one channel.
    """
    raise TypeError(f'no logits: {type(scores).__name__}')


@as_single.register(np.ndarray)
def _(rows: np.ndarray) -> np.ndarray:
    return rows.astype(np.float32) if rows.dtype == np.float16 else rows


@blend_rows.register(np.ndarray)
def _(rows: np.ndarray, before: np.ndarray, after: np.ndarray, share: np.ndarray) -> np.ndarray:
    return _between(rows[:, before], rows[:, after], share.astype(rows.dtype)[:, None])


@resize_columns.register(np.ndarray)
def _(rows: np.ndarray, width: int, align_corners: bool) -> np.ndarray:
    before, after, share = rows_read(rows.shape[2], width, 0, width, align_corners)
    return _between(rows[..., before], rows[..., after], share.astype(rows.dtype))


@zeros.register(np.ndarray)
def _(like: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.zeros(shape, like.dtype)


@class_indices.register(np.ndarray)
def _(scores: np.ndarray, threshold: float) -> np.ndarray:
    if len(scores) == 1:
        with np.errstate(over='ignore'):  # of a pixel that is surely of the first class
            labels: np.ndarray = 1 / (1 + np.exp(-scores[0])) > threshold
    else:
        labels = scores.argmax(0)
    return labels.astype(np.int16)


def _between(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Linear interpolation, in the place of the second."""
    second -= first
    second *= share
    second += first
    return second


def rows_read(
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
