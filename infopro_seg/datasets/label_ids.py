"""The ids in label images of any bit depth, and which of them are outside the classes."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

IGNORED = 255  # the id that mmseg leaves out of losses and metrics
NAMED = 20  # ids in a message
EXACT = 2**24  # OpenCV counts in float32


def histogram(values: np.ndarray) -> np.ndarray:
    """The number of pixels with each value in a channel (H, W) of uint8, (256,) int64."""
    rows = max(EXACT // values.shape[1], 1)
    counts = np.zeros(256, dtype=np.int64)
    for start in range(0, len(values), rows):
        part = np.ascontiguousarray(values[start : start + rows])
        counts += cv2.calcHist([part], [0], None, [256], [0, 256]).reshape(-1).astype(np.int64)
    return counts


def stored_ids(labels: np.ndarray) -> dict[int, int] | None:
    """The ids of a label image (H, W) of any depth, with their numbers of pixels; None for fractions."""
    if labels.dtype in (np.uint8, np.bool_):
        counts = histogram(labels.astype(np.uint8, copy=False))
        return {int(label): int(counts[label]) for label in np.flatnonzero(counts)}
    if labels.dtype.kind in 'iu' and labels.size and labels.min() >= 0 and labels.max() <= IGNORED:
        return stored_ids(labels.astype(np.uint8))  # which counts many times faster
    values, numbers = np.unique(labels, return_counts=True)
    if not (np.isfinite(values).all() and (values == np.floor(values)).all()):
        return None
    return {int(label): int(count) for label, count in zip(values, numbers, strict=True)}


def outside_the_classes(stored: Iterable[int], classes: np.ndarray, num_classes: int) -> dict[int, int]:
    """Stored ids that are neither a class nor ignored, and the values that they are read as.

    Args:
        stored: the ids.
        classes: the class index for each id from 0 to 255, (256,); larger ids become no class.
        num_classes: number of classes.
    """
    bad = {}
    for label in stored:
        fits = 0 <= label < 256
        index = int(classes[label]) if fits else label
        if not fits or (index >= num_classes and index != IGNORED):
            bad[label] = index
    return bad


def named(ids: Iterable[int]) -> str:
    """Ids as a list, shortened if it is long."""
    found = list(ids)
    if len(found) <= NAMED:
        return str(found)
    return f'[{", ".join(map(str, found[:NAMED]))}, ...], {len(found)} in all,'
