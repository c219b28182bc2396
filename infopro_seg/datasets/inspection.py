"""One image and its label image: what they hold and what is wrong with them.

Nothing here imports torch: worker processes import this module, and start at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from infopro_seg.datasets.image_files import UnreadableError, decode_image, decode_labels, read_bytes
from infopro_seg.datasets.problems import Problem

IGNORED = 255  # as in loading.py, which imports torch
REPLACE = 'replace it, or remove the pair'


@dataclass(frozen=True)
class Loading:
    """How a data set's pipeline reads its files.

    Args:
        classes: the class that each stored id 0 to 255 becomes, (256,) uint8.
        num_classes: what becomes neither less than this nor 255 is outside the classes.
        color_type: mmcv's flag for the decoding of images.
        label_backend: mmcv's name for the decoder of label images.
    """

    classes: np.ndarray
    num_classes: int
    color_type: str = 'color'
    label_backend: str = 'pillow'


@dataclass(frozen=True)
class Pair:
    """An image, its label image if the split has labels, and how they are read."""

    image: Path
    label: Path | None
    loading: Loading


@dataclass
class Inspection:
    """What a pair holds.

    Args:
        problems: what is wrong with the files.
        size: width and height of the image in pixels; None if it cannot be read.
        image_mode: channels and bit depth, e.g. 'RGB 8 bit'.
        label_mode: those of the label image.
        counts: pixels by class index, (256,) int64, with ids outside the classes where they fall and 255
            for ignored ones; None if the labels cannot be read.
        pixels: number of pixels of the image.
        sums: of each channel, in the order in which OpenCV reads them: BGR.
        squares: sums of squares.
    """

    problems: list[Problem] = field(default_factory=list)
    size: tuple[int, int] | None = None
    image_mode: str | None = None
    label_mode: str | None = None
    counts: np.ndarray | None = None
    pixels: int = 0
    sums: np.ndarray = field(default_factory=lambda: np.zeros(0))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def usable(self) -> bool:
        """Whether both images can be read and nothing is wrong with them."""
        return not self.problems and self.size is not None and self.counts is not None


def inspect(pair: Pair) -> Inspection:
    """Reads the files of a pair, once each."""
    found = Inspection()
    _inspect_image(pair, found)
    if pair.label is not None:
        _inspect_labels(pair.label, pair, found)
    return found


def _inspect_image(pair: Pair, found: Inspection) -> None:
    if not pair.image.is_file():
        remedy = 'restore it, or take it off the list that names it'
        found.problems.append(Problem(pair.image, 'the image is missing', remedy))
        return
    try:
        image, found.image_mode = decode_image(read_bytes(pair.image), pair.loading.color_type)
    except UnreadableError as error:
        found.problems.append(Problem(pair.image, f'the image cannot be read: {error}', REPLACE))
        return
    found.size = image.shape[1], image.shape[0]
    found.pixels = image.shape[0] * image.shape[1]
    found.sums, found.squares = _moments(image)


def _inspect_labels(path: Path, pair: Pair, found: Inspection) -> None:
    if not path.is_file():
        remedy = f'draw it, or remove its image {pair.image}'
        found.problems.append(Problem(path, 'the label image is missing', remedy))
        return
    try:
        labels, found.label_mode = decode_labels(read_bytes(path), pair.loading.label_backend)
    except UnreadableError as error:
        found.problems.append(Problem(path, f'the label image cannot be read: {error}', REPLACE))
        return
    size = labels.shape[1], labels.shape[0]
    if found.size is not None and size != found.size:
        what = f'{size[0]}x{size[1]} pixels, but its image {pair.image} is {found.size[0]}x{found.size[1]}'
        remedy = 'images and labels must have the same size; scale labels with nearest-neighbour sampling'
        found.problems.append(Problem(path, what, remedy))
    if labels.ndim != 2:
        what = f'holds colours ({found.label_mode}), not one class index per pixel'
        found.problems.append(Problem(path, what, 'convert it to a gray 8-bit PNG of class indices'))
        return
    if not _fit_a_byte(labels):
        span = f'{labels.min()} to {labels.max()}'
        what = f'holds ids from {span} ({found.label_mode}), but ids are read as 0 to 255'
        found.problems.append(Problem(path, what, 'convert it to a gray 8-bit PNG of class indices'))
        return
    stored = np.bincount(labels.astype(np.uint8).reshape(-1), minlength=256)
    found.problems += _outside(path, stored, pair.loading)
    found.counts = np.zeros(256, dtype=np.int64)
    np.add.at(found.counts, pair.loading.classes, stored)


def _fit_a_byte(labels: np.ndarray) -> bool:
    if labels.dtype in (np.uint8, np.bool_):
        return True
    return bool(labels.min() >= 0 and labels.max() <= 255 and (labels == np.floor(labels)).all())


def _outside(path: Path, stored: np.ndarray, loading: Loading) -> list[Problem]:
    """The problem of ids that become no class, if there are any; they are named as the file holds them."""
    ids = np.flatnonzero(stored)
    classes = loading.classes[ids]
    bad = (classes >= loading.num_classes) & (classes != IGNORED)
    if not bad.any():
        return []
    share = stored[ids[bad]].sum() / stored.sum()
    read_as = '' if (classes[bad] == ids[bad]).all() else f', which are read as {classes[bad].tolist()}'
    what = (
        f'holds the label ids {ids[bad].tolist()}{read_as} ({share:.2%} of its pixels), but the '
        f'{loading.num_classes} classes are 0 to {loading.num_classes - 1} and {IGNORED} is ignored'
    )
    return [
        Problem(
            path, what, f'convert the labels ({IGNORED} for no class), or correct the classes in the config'
        )
    ]


def _moments(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums and sums of squares of each channel; exact for 8-bit images."""
    channels = cv2.split(image)
    if image.dtype != np.uint8:
        values = [channel.astype(np.float64) for channel in channels]
        return np.array([v.sum() for v in values]), np.array([(v * v).sum() for v in values])
    levels = np.arange(256, dtype=np.int64)
    counts = [np.bincount(channel.reshape(-1), minlength=256) for channel in channels]
    sums = np.array([float(count @ levels) for count in counts])
    return sums, np.array([float(count @ levels**2) for count in counts])
