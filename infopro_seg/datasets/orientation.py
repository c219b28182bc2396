"""EXIF orientations: photographs are stored as the sensor saw them, and turned when they are shown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from infopro_seg.datasets.image_headers import Header

TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(image, 2).swapaxes(0, 1),
    8: np.rot90,
}
"""What EXIF's orientations ask for; 1 asks for nothing."""

IGNORING = ('unchanged', 'color_ignore_orientation', 'grayscale_ignore_orientation')
"""mmcv's names for decoding without turning."""

DRAWN_ON = (None, 'upright', 'stored')
"""What label images may have been drawn on; None where their size tells."""


class MisfitError(ValueError):
    """A label image that does not fit its image.

    Args:
        what: what is wrong.
        remedy: what to do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f'{what}; {remedy}')
        self.what = what
        self.remedy = remedy


def turn(image: np.ndarray, orientation: int) -> np.ndarray:
    """An image (H, W, ...) as it was stored, turned as EXIF's orientation asks for."""
    return np.ascontiguousarray(TURNS[orientation](image)) if orientation in TURNS else image


def turned_by(header: Header, color_type: str) -> int:
    """The orientation by which loading turns an image: 1 if it does not."""
    return header.orientation if header.tiff or color_type not in IGNORING else 1


def labels_are_turned(
    size: tuple[int, int],
    image_size: tuple[int, int],
    orientation: int,
    image_path: object,
    drawn_on: str | None = None,
) -> bool:
    """Whether a label image was drawn on the pixels as they are stored, and must be turned as its image is.

    Args:
        size: width and height of the label image.
        image_size: those of the image as it is loaded, upright.
        orientation: by which it was turned.
        image_path: for error messages.
        drawn_on: 'stored' or 'upright' to say it where the sizes do not: after half turns and mirroring,
            and where images are square.

    Raises:
        MisfitError: the sizes differ, or do not tell which of the two holds.
    """
    stored_size = image_size[::-1] if orientation >= 5 else image_size
    upright, stored = size == image_size, orientation > 1 and size == stored_size
    if drawn_on is not None:
        upright, stored = upright and drawn_on == 'upright', stored and drawn_on == 'stored'
        upright = upright or (orientation == 1 and size == image_size)
    if upright and stored:
        raise MisfitError(
            f'fits its image {image_path} both as it is stored and turned by its EXIF orientation '
            f'{orientation}, so that nothing tells which of them it was drawn on',
            "give LoadLabels drawn_on='upright' (as viewers show the photograph) or drawn_on='stored' in "
            'every pipeline, or save the photographs upright without an EXIF orientation',
        )
    if not upright and not stored:
        fits = 'x'.join(map(str, image_size))
        if orientation > 1:
            fits += (
                f' when turned by its EXIF orientation {orientation}, and {stored_size[0]}x{stored_size[1]}'
            )
            fits += ' as stored'
        raise MisfitError(
            f'{size[0]}x{size[1]} pixels, but its image {image_path} is {fits}',
            'images and labels must have the same size; scale labels with nearest-neighbour sampling',
        )
    return stored
