"""Decodes image files, in training and in checks alike, and gives the true reason if that fails."""

from __future__ import annotations

import io
import os
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from infopro_seg.datasets.image_headers import FAILURES, PNG, Header, read_header
from infopro_seg.datasets.orientation import turn, turned_by
from infopro_seg.datasets.pgm import as_stored, is_text
from infopro_seg.errors import DataError

FLAGS = {
    'color': cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
    'grayscale': cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION,
    'unchanged': cv2.IMREAD_UNCHANGED,
    'color_ignore_orientation': cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
    'grayscale_ignore_orientation': cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION,
}
"""OpenCV's flags by mmcv's names. Images are rotated upright here, so that labels can follow."""

MOST_PIXELS = int(os.environ.get('OPENCV_IO_MAX_IMAGE_PIXELS', 2**30))
MOST_PER_SIDE = int(os.environ.get('OPENCV_IO_MAX_IMAGE_WIDTH', 2**20))
"""OpenCV's limits, which it reads from the environment too."""

REPLACE = 'replace or remove it'
TO_LABELS = 'convert it to a gray 8-bit PNG of class indices'
TO_IMAGE = 'convert it to 8 bits per channel and three channels'

OTHERS = {
    b'version https://git-lfs': ('it is a pointer of Git LFS, not the image', 'run: git lfs pull'),
    b'<': ('it is a web page or another text, not an image', 'download it again'),
    b'%PDF': ('it is a PDF', 'convert it to PNG'),
    b'\x93NUMPY': ('it is an array of NumPy', 'convert it to PNG'),
    b'\x89HDF': ('it is HDF5', 'convert it to PNG'),
}
"""The first bytes of files that are not images."""


class UnreadableError(ValueError):
    """A file that cannot be read; the message says why.

    Args:
        reason: the reason.
        remedy: what to do about it.
    """

    def __init__(self, reason: str, remedy: str = REPLACE) -> None:
        super().__init__(reason)
        self.remedy = remedy


def read_bytes(path: Path) -> bytes:
    """The contents of a file.

    Raises:
        UnreadableError: the file is empty, or the system cannot read it.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    if not data:
        raise UnreadableError('the file is empty')
    return data


def load_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Loads an image file, (H, W, 3) BGR uint8, rotated as its EXIF orientation says.

    Raises:
        DataError: the file is missing, damaged, or not an image.
    """
    try:
        data = read_bytes(Path(path))
        image, header = decode_image(data)
        if header.bits == 16 and not image.any() and _holds_anything(data):
            raise UnreadableError(
                'its 16-bit values are all below 256, and of 16 bits the upper 8 are read, so that it would '
                'be black',
                'scale its values to 0 to 65535, or save it with 8 bits',
            )
        return image
    except (OSError, AttributeError, ValueError, cv2.error) as error:
        raise unreadable(os.fspath(path), 'image', error) from error


def unreadable(path: str, kind: str, error: Exception) -> DataError:
    """The error for a file that cannot be read, with the reason that the reader gave."""
    reason = 'empty or damaged' if isinstance(error, cv2.error) else ' '.join(str(error).split())
    reason = reason or type(error).__name__
    remedy = error.remedy if isinstance(error, UnreadableError) else REPLACE
    return DataError(f'cannot read the {kind} {path}: {reason}; {remedy}')


def decode_image(data: bytes, color_type: str = 'color') -> tuple[np.ndarray, Header]:
    """Decodes an image, (H, W, 3) BGR for 'color'; also returns the header of its file.

    The image is rotated as its EXIF orientation says, unless the color type forbids it.

    Raises:
        UnreadableError: the file is damaged, not an image, or cannot be read with this color type.
    """
    header = read_header(data)
    refused = not_readable(header, color_type)
    if refused is not None:
        raise refused
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), FLAGS[color_type])
    except (cv2.error, MemoryError) as error:
        raise _reason(data) or UnreadableError(f'OpenCV cannot decode it: {error}', TO_IMAGE) from error
    if image is None:
        raise _reason(data) or UnreadableError(
            f'OpenCV does not read its format ({header.mode})', 'convert it to PNG'
        )
    if not header.whole:  # OpenCV fills what is missing of some truncated files with gray
        reason = _reason(data)
        if reason:
            raise reason
    return image if header.tiff else turn(image, turned_by(header, color_type)), header


def decode_labels(data: bytes, backend: str = 'pillow') -> tuple[np.ndarray, Header]:
    """Decodes a label image as stored, (H, W), or (H, W, C) if it has colours; also returns its header.

    Raises:
        UnreadableError: the file is damaged, or not an image.
    """
    header = read_header(data)
    if backend == 'cv2' and not (header.scaled and is_text(data)):
        labels, header = decode_image(data, 'unchanged')
    else:
        try:
            with Image.open(io.BytesIO(data)) as picture:
                labels = np.array(picture)
        except FAILURES as error:
            raise (_reason(data, TO_LABELS) or UnreadableError(str(error) or type(error).__name__)) from error
        if header.scaled:
            labels = as_stored(labels, header.scaled)
    if labels.shape[2:] == (1,):
        labels = labels[..., 0]
    if header.kind == 'gray' and header.bits in (1, 2, 4) and labels.dtype == np.uint8:
        labels = labels // (255 // (2**header.bits - 1))  # decoders scale the levels of few bits to 0 to 255
    return labels, header


def not_readable(header: Header, color_type: str) -> UnreadableError | None:
    """Why an image with this header cannot be read, or None if it can."""
    width, height = header.size or (0, 0)
    if width * height > MOST_PIXELS or max(width, height) > MOST_PER_SIDE:
        limit = f'{MOST_PIXELS} pixels' if width * height > MOST_PIXELS else f'{MOST_PER_SIDE} along a side'
        return UnreadableError(
            f'it has {width}x{height} pixels, and OpenCV reads up to {limit}', 'cut it into tiles'
        )
    if color_type == 'unchanged':
        return None
    if header.sample != 'unsigned' or header.bits > 16:
        samples = f'{header.bits}-bit {header.sample} samples'
        return UnreadableError(
            f'it holds {samples}, and images are read with 8 bits per channel (of 16 the upper 8)', TO_IMAGE
        )
    if header.bands > 4 or (header.bands == 2 and header.kind != 'gray+alpha'):
        return UnreadableError(
            f'it holds {header.bands} bands, and images are read as three colours', TO_IMAGE
        )
    return None


def _holds_anything(data: bytes) -> bool:
    """Whether any value of an image, as it is stored, is not 0."""
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return stored is not None and bool(stored.any())


def _reason(data: bytes, remedy: str = TO_IMAGE) -> UnreadableError | None:
    """Why Pillow cannot read a file, or None if it can."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
    except MemoryError:
        return UnreadableError('it does not fit into memory', 'cut it into tiles')
    except UnidentifiedImageError:
        header = read_header(data)
        if header.kind != 'unknown' and not data.startswith(PNG):
            return UnreadableError(f'it contains {header.mode}, which is not supported', remedy)
        for start, (what, other) in OTHERS.items():
            if data.lstrip().startswith(start):
                return UnreadableError(what, other)
        if data[4:8] == b'ftyp':
            return UnreadableError(
                f'it is {data[8:12].decode("latin-1").strip().upper()}', 'convert it to PNG or JPEG'
            )
        return UnreadableError('the file is not an image')
    except FAILURES as error:
        return UnreadableError(str(error) or type(error).__name__)
    return None
