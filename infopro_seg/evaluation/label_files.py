"""Writes label images and pictures as PNG, and recognises them later."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from infopro_seg.errors import UserError
from infopro_seg.files import whole_file
from infopro_seg.outputs import reason_of

WRITER = 'infopro_seg'  # the software named in the pictures of a prediction
SOFTWARE = 305  # TIFF's tag for the software
IMAGES = ('.png', '.tif')


def write_label_image(path: Path, prediction: np.ndarray, ids: np.ndarray) -> None:
    """Writes a PNG with one id per pixel, with 8 bits, or 16 if an id exceeds 255.

    Args:
        path: the `.png` to write.
        prediction: class indices, (H, W).
        ids: the id of each class index, see :func:`infopro_seg.evaluation.label_images.label_ids`.

    Raises:
        UserError: the file cannot be written.
    """
    write_image(path, ids[prediction])


def write_image(path: Path, image: np.ndarray) -> None:
    """Writes a PNG file, and creates its folder.

    Args:
        path: the file to write.
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


def require_replaceable(results: Iterable[Path]) -> None:
    """Checks that results will replace nothing but earlier results: never the user's own label images.

    Args:
        results: the files that will be written; only images are checked.

    Raises:
        UserError: a file exists that no prediction or evaluation has written.
    """
    for path in results:
        if path.suffix in IMAGES and path.exists() and not is_written_here(path):
            raise UserError(
                f'{path} already exists and is not an earlier result, perhaps your own label image, so it is '
                'not replaced; name another folder (--out)'
            )


def is_written_here(path: Path) -> bool:
    """Whether a file is a picture written by an earlier prediction."""
    try:
        with Image.open(path) as picture:
            tags = getattr(picture, 'tag_v2', {})  # of a TIFF
            return WRITER in (picture.info.get('Software'), tags.get(SOFTWARE))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
