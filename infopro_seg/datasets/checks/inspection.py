"""Reads one image and its label image, and reports their problems.

Nothing here imports torch, so worker processes, which import this module, start at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from infopro_seg.datasets.checks.file_names import instead_of
from infopro_seg.datasets.image_files import (
    TO_LABELS,
    UnreadableError,
    decode_image,
    decode_labels,
    read_bytes,
)
from infopro_seg.datasets.image_headers import Header, count_pages
from infopro_seg.datasets.label_ids import IGNORED, histogram, named, outside_the_classes, stored_ids
from infopro_seg.datasets.orientation import MisfitError, labels_are_turned, turned_by
from infopro_seg.datasets.pgm import is_text
from infopro_seg.datasets.problems import Problem


@dataclass(frozen=True)
class Loading:
    """How a data set's pipeline reads its files.

    Args:
        classes: the class index for each stored id 0 to 255, (256,) uint8.
        num_classes: number of classes; an index of at least this, other than 255, is outside the classes.
        color_type: mmcv's flag for the decoding of images.
        label_backend: mmcv's name for the decoder of label images.
        drawn_on: the form of rotated photographs on which labels were drawn, see `LoadLabels`.
        stock_labels: whether mmseg's own `LoadAnnotations` reads the label images. It does not rotate them,
            wraps ids above 255, and misreads images of 2 or 4 bits.
        changed: whether steps of the user's own may give the labels other ids after they are loaded.
    """

    classes: np.ndarray
    num_classes: int
    color_type: str = 'color'
    label_backend: str = 'pillow'
    drawn_on: str | None = None
    stock_labels: bool = False
    changed: bool = False


@dataclass(frozen=True)
class Pair:
    """An image, its label image if the split has labels, and how they are read."""

    image: Path
    label: Path | None
    loading: Loading


@dataclass
class Inspection:
    """The contents of a pair.

    Args:
        problems: problems of the files.
        size: width and height of the image in pixels; None if it cannot be read.
        image_mode: channels and bit depth, e.g. 'RGB 8 bit'.
        label_mode: the same for the label image.
        turned: the EXIF orientation by which loading rotates the image; 1 for no rotation.
        labels_turned: whether the labels are rotated with it.
        counts: number of pixels by class index, (256,) int64, including indices outside the classes and 255
            for ignored pixels; None if the labels cannot be read.
        pixels: number of pixels of the image.
        sums: sum of each channel, in OpenCV's order, BGR.
        squares: sum of squares of each channel.
        pages: number of pages of a TIFF or frames of an animation, of which the first is read.
        highest: the highest value of a 16-bit image, as it is read; None for other images.
        palette: the colours of a label image with a palette, three bytes each; b'' for others.
        stored: the ids that the label image holds, as they are stored.
    """

    problems: list[Problem] = field(default_factory=list)
    size: tuple[int, int] | None = None
    image_mode: str | None = None
    label_mode: str | None = None
    turned: int = 1
    labels_turned: bool = False
    counts: np.ndarray | None = None
    pixels: int = 0
    sums: np.ndarray = field(default_factory=lambda: np.zeros(0))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(0))
    pages: int = 0
    highest: int | None = None
    palette: bytes = b''
    stored: tuple[int, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether both images can be read and have no problems."""
        return not self.problems and self.size is not None and self.counts is not None


def inspect(pair: Pair) -> Inspection:
    """Reads the files of a pair, once each."""
    found = Inspection()
    header = _inspect_image(pair, found)
    if pair.label is not None:
        _inspect_labels(pair.label, pair, found, header.orientation)
    return found


def _inspect_image(pair: Pair, found: Inspection) -> Header:
    if not pair.image.is_file():
        remedy = 'restore it, or remove it from the list that names it'
        found.problems.append(Problem(pair.image, f'the image is missing{instead_of(pair.image)}', remedy))
        return Header()
    try:
        data = read_bytes(pair.image)
        image, header = decode_image(data, pair.loading.color_type)
    except UnreadableError as error:
        found.problems.append(Problem(pair.image, f'the image cannot be read: {error}', error.remedy))
        return Header()
    found.image_mode, found.pages = header.mode, count_pages(data)
    found.turned = turned_by(header, pair.loading.color_type)
    found.size = image.shape[1], image.shape[0]
    found.pixels = image.shape[0] * image.shape[1]
    found.sums, found.squares = _moments(image)
    if header.bits == 16 and image.dtype == np.uint8:
        found.highest = int(image.max())
    return header


def _inspect_labels(path: Path, pair: Pair, found: Inspection, orientation: int) -> None:
    if not path.is_file():
        remedy = f'draw it, or remove its image {pair.image}'
        what = f'the label image is missing{instead_of(path)}'
        found.problems.append(Problem(path, what, remedy))
        return
    if is_image_itself(pair):
        what = 'the label image is the image itself'
        found.problems.append(
            Problem(path, what, 'correct seg_map_path and seg_map_suffix, which say where label images are')
        )
        return
    try:
        labels, header = decode_labels(read_bytes(path), pair.loading.label_backend)
    except UnreadableError as error:
        found.problems.append(Problem(path, f'the label image cannot be read: {error}', error.remedy))
        return
    found.label_mode = header.mode
    if header.lossy:
        what = 'the label image is a JPEG or another lossy file, whose compression changes ids at edges'
        found.problems.append(
            Problem(path, what, 'export the labels again as PNG; converting this file is too late')
        )
        return
    if is_turned_alone(header, orientation, found.size):
        what = (
            f'has an EXIF orientation of its own ({header.orientation}), by which viewers turn it, but label '
            'images are read as they are stored'
        )
        found.problems.append(Problem(path, what, 'save it as it lies on its image, without EXIF data'))
        return
    if found.size is not None:
        try:
            size = labels.shape[1], labels.shape[0]
            found.labels_turned = labels_are_turned(
                size, found.size, found.turned, pair.image, pair.loading.drawn_on
            )
        except MisfitError as error:
            found.problems.append(Problem(path, error.what, error.remedy))
    if pair.loading.stock_labels:
        found.problems += _misread_by_stock(path, found.labels_turned, header, pair.loading.label_backend)
    if labels.ndim != 2:
        what = f'holds colours ({found.label_mode}), not one class index per pixel'
        found.problems.append(Problem(path, what, TO_LABELS))
        return
    stored = stored_ids(labels)
    if stored is None:
        what = f'holds fractions ({found.label_mode}), not class indices'
        found.problems.append(Problem(path, what, TO_LABELS))
        return
    found.palette, found.stored = header.palette, tuple(stored)
    found.problems += _outside(path, stored, pair.loading)
    found.counts = np.zeros(256, dtype=np.int64)
    for label, count in stored.items():
        if 0 <= label < 256:
            found.counts[pair.loading.classes[label]] += count


def is_image_itself(pair: Pair) -> bool:
    """Whether a label image is the same file as its image, which a wrong folder or suffix gives."""
    return pair.label is not None and (pair.label == pair.image or pair.label.samefile(pair.image))


def is_turned_alone(labels: Header, orientation: int, size: tuple[int, int] | None) -> bool:
    """Whether viewers turn a label image in another way than its image; decoders turn TIFFs themselves.

    A label image that fits its image only as it is stored is right, whatever its orientation says.

    Args:
        labels: the header of the label image.
        orientation: EXIF's of the image.
        size: width and height of the image as it is loaded.
    """
    fits_as_stored_only = labels.stored_size == size != labels.size
    return not labels.tiff and labels.orientation not in (1, orientation) and not fits_as_stored_only


def _misread_by_stock(path: Path, turned: bool, header: Header, backend: str) -> list[Problem]:
    """The problem of labels that :class:`LoadLabels` reads correctly but mmseg's own loader does not."""
    if turned:
        what = 'was drawn on its photograph as it is stored, and LoadAnnotations does not turn both alike'
    elif header.kind == 'gray' and header.bits in ((2, 4) if backend == 'pillow' else (1, 2, 4)):
        what = f'holds ids of {header.bits} bits, which LoadAnnotations reads as gray levels of 0 to 255'
    elif header.scaled and (backend == 'pillow' or is_text(read_bytes(path))):
        what = f'is a PGM of levels up to {header.scaled}, which LoadAnnotations scales, so that ids change'
    else:
        return []
    return [Problem(path, what, "load it with dict(type='LoadLabels') in place of LoadAnnotations")]


def _outside(path: Path, stored: dict[int, int], loading: Loading) -> list[Problem]:
    """The problem of ids outside the classes, if any; ids are named as stored in the file."""
    bad = outside_the_classes(stored, loading.classes, loading.num_classes)
    if not bad:
        return []
    share = sum(stored[label] for label in bad) / sum(stored.values())
    changed = '' if list(bad) == list(bad.values()) else f', which are read as {named(bad.values())}'
    what = (
        f'holds the label ids {named(bad)}{changed} ({share:.2%} of its pixels), but the '
        f'{loading.num_classes} classes are 0 to {loading.num_classes - 1} and {IGNORED} is ignored'
    )
    remedy = f'convert the labels ({IGNORED} for no class), or correct the classes in the config'
    return [Problem(path, what, remedy)]


def _moments(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums and sums of squares of each channel; exact for 8-bit images."""
    channels = cv2.split(image)
    if image.dtype != np.uint8:
        values = [channel.astype(np.float64) for channel in channels]
        return np.array([v.sum() for v in values]), np.array([(v * v).sum() for v in values])
    levels = np.arange(256, dtype=np.int64)
    counts = [histogram(channel) for channel in channels]
    sums = np.array([float(count @ levels) for count in counts])
    return sums, np.array([float(count @ levels**2) for count in counts])
