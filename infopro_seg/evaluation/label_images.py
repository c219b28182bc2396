"""Predictions as label images, in the ids of the data set they were made for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from cityscapesscripts.helpers.labels import trainId2label

from infopro_seg.errors import UserError


def write_label_image(path: Path, prediction: np.ndarray, classes: Sequence[str]) -> None:
    """Writes a PNG with one id per pixel.

    For the Cityscapes classes the ids are Cityscapes' own (road is 7), which its evaluation server and
    `csEvalPixelLevelSemanticLabeling` read; for other data sets the index of the class.

    Args:
        path: where to, a `.png`.
        prediction: class indices, (H, W).
        classes: the data set's class names.

    Raises:
        UserError: the file cannot be written.
    """
    write_image(path, label_ids(tuple(classes))[prediction])


def write_image(path: Path, image: np.ndarray) -> None:
    """Writes an image file, and makes its folder.

    Args:
        path: where to; the suffix says the format.
        image: (H, W) or, in the order BGR, (H, W, 3); uint8.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'cannot make the folder {path.parent}: {error.strerror}; name another') from error
    if not cv2.imwrite(str(path), image):
        raise UserError(f'cannot write {path}; is the disk full, or the folder read-only?')


@cache
def label_ids(classes: tuple[str, ...]) -> np.ndarray:
    """The id that a label image gives to each class index, uint8."""
    cityscapes = tuple(trainId2label[index].name for index in range(19))
    if classes == cityscapes:
        return np.array([trainId2label[index].id for index in range(19)], dtype=np.uint8)
    return np.arange(len(classes), dtype=np.uint8)
