"""Writing label images and pictures as PNG, and knowing them again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from infopro_seg.errors import UserError
from infopro_seg.files import whole_file
from infopro_seg.outputs import reason_of

WRITER = 'infopro_seg'  # what the pictures of a prediction name as their software
SOFTWARE = 305  # the tag of a TIFF for it


def write_label_image(path: Path, prediction: np.ndarray, ids: np.ndarray) -> None:
    """Writes a PNG with one id per pixel, of 8 bits or, with ids above 255, of 16.

    Args:
        path: where to, a `.png`.
        prediction: class indices, (H, W).
        ids: the id of each class index, see :func:`infopro_seg.evaluation.label_images.label_ids`.

    Raises:
        UserError: the file cannot be written.
    """
    write_image(path, ids[prediction])


def write_image(path: Path, image: np.ndarray) -> None:
    """Writes a PNG file, and makes its folder.

    Args:
        path: where to.
        image: (H, W) of uint8 or uint16, or (H, W, 3) RGB of uint8.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'cannot make the folder {path.parent}: {reason_of(error)}; name another') from error
    info = PngInfo()
    info.add_text('Software', WRITER)
    with whole_file(path) as partial:
        Image.fromarray(image).save(partial, format='png', pnginfo=info, compress_level=1)


def is_written_here(path: Path) -> bool:
    """Whether a file is a picture of an earlier prediction."""
    try:
        with Image.open(path) as picture:
            tags = getattr(picture, 'tag_v2', {})  # of a TIFF
            return WRITER in (picture.info.get('Software'), tags.get(SOFTWARE))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
