"""Decoding of image files as mmcv does it, with their modes and clear reasons where it fails."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

FLAGS = {
    'color': cv2.IMREAD_COLOR,
    'grayscale': cv2.IMREAD_GRAYSCALE,
    'unchanged': cv2.IMREAD_UNCHANGED,
    'color_ignore_orientation': cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION,
    'grayscale_ignore_orientation': cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION,
}
"""mmcv's names for OpenCV's flags."""

PNG, JPEG = b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff'
ENDS = {PNG: b'IEND\xaeB`\x82', JPEG: b'\xff\xd9'}
"""How whole files end, by how they start."""

PNG_KINDS = {0: 'gray', 2: 'RGB', 3: 'palette', 4: 'gray+alpha', 6: 'RGBA'}
KINDS = {'L': 'gray', 'P': 'palette', 'LA': 'gray+alpha', '1': 'gray', 'I': 'gray', 'F': 'gray'}
DEPTHS = {'1': 1, 'I;16': 16, 'I;16B': 16, 'I;16L': 16, 'I': 32, 'F': 32}
BITS_PER_SAMPLE = 258  # TIFF tag

FAILURES = (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError)
"""What Pillow raises for files that it cannot read."""

warnings.filterwarnings('ignore', category=Image.DecompressionBombWarning)  # large images are our business


class UnreadableError(ValueError):
    """A file that cannot be read; the message says why."""


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


def decode_image(data: bytes, color_type: str = 'color') -> tuple[np.ndarray, str]:
    """An image, (H, W, 3) BGR for 'color', and the mode of its file.

    Raises:
        UnreadableError: the file is no image, or broken.
    """
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), FLAGS[color_type])
    except cv2.error as error:
        raise UnreadableError(str(error)) from error
    if image is None:
        raise UnreadableError(_reason(data) or 'OpenCV cannot decode it')
    if not _ends_well(data):  # OpenCV fills what is missing of some truncated files with gray
        reason = _reason(data)
        if reason:
            raise UnreadableError(reason)
    return image, mode_of(data)


def decode_labels(data: bytes, backend: str = 'pillow') -> tuple[np.ndarray, str]:
    """A label image as it is stored, (H, W) or, if it holds colours, (H, W, C), and the mode of its file.

    Raises:
        UnreadableError: the file is no image, or broken.
    """
    if backend == 'cv2':
        labels, mode = decode_image(data, 'unchanged')
    else:
        try:
            with Image.open(io.BytesIO(data)) as picture:
                labels = np.array(picture)
        except FAILURES as error:
            raise UnreadableError(_reason(data) or str(error)) from error
        mode = mode_of(data)
    return labels[..., 0] if labels.shape[2:] == (1,) else labels, mode


def mode_of(data: bytes) -> str:
    """Channels and bit depth of an image file, e.g. 'RGB 8 bit'."""
    if data.startswith(PNG):  # Pillow does not say that an RGB image has 16 bits
        return f'{PNG_KINDS.get(data[25], "?")} {data[24]} bit'
    try:
        with Image.open(io.BytesIO(data)) as picture:
            depth = getattr(picture, 'tag_v2', {}).get(BITS_PER_SAMPLE) or DEPTHS.get(picture.mode, 8)
            kind = KINDS.get(picture.mode.split(';')[0], picture.mode)
    except FAILURES:
        return 'unknown'
    return f'{kind} {depth[0] if isinstance(depth, tuple) else depth} bit'


def _ends_well(data: bytes) -> bool:
    return all(data.rstrip(b'\0').endswith(end) for start, end in ENDS.items() if data.startswith(start))


def _reason(data: bytes) -> str | None:
    """Why Pillow cannot read a file, or None if it can."""
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
    except UnidentifiedImageError:
        return 'the file is no image'
    except FAILURES as error:
        return str(error) or type(error).__name__
    return None
