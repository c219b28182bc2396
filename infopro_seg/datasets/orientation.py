"""EXIF orientations: photographs are stored as the sensor saw them, and rotated for display."""

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
"""The rotation for each EXIF orientation; 1 needs none."""

IGNORING = ('unchanged', 'color_ignore_orientation', 'grayscale_ignore_orientation')
"""mmcv's names for decoding without rotation."""

DRAWN_ON = (None, 'upright', 'stored')
"""The forms of photographs on which labels may be drawn; None if their size decides."""


class MisfitError(ValueError):
    """A label image that does not match its image.

    Args:
        what: what is wrong.
        remedy: what to do about it.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f'{what}; {remedy}')
        self.what = what
        self.remedy = remedy


def turn(image: np.ndarray, orientation: int) -> np.ndarray:
    """Rotates a stored image (H, W, ...) as its EXIF orientation says."""
    return np.ascontiguousarray(TURNS[orientation](image)) if orientation in TURNS else image


def turned_by(header: Header, color_type: str) -> int:
    """The EXIF orientation that loading applies to an image; 1 for none."""
    return header.orientation if header.tiff or color_type not in IGNORING else 1


def labels_are_turned(
    size: tuple[int, int],
    image_size: tuple[int, int],
    orientation: int,
    image_path: object,
    drawn_on: str | None = None,
) -> bool:
    """Whether a label image was drawn on the stored pixels, and must be rotated with its image.

    Args:
        size: width and height of the label image.
        image_size: width and height of the loaded, upright image.
        orientation: the EXIF orientation that was applied.
        image_path: the image, for error messages.
        drawn_on: 'stored' or 'upright', if the sizes do not decide: after half turns and mirroring, and for
            square images.

    Raises:
        MisfitError: the sizes differ, or do not decide between the two forms.
    """
    stored_size = image_size[::-1] if orientation >= 5 else image_size
    upright, stored = size == image_size, orientation > 1 and size == stored_size
    if drawn_on is not None:
        upright, stored = upright and drawn_on == 'upright', stored and drawn_on == 'stored'
        upright = upright or (orientation == 1 and size == image_size)
    if upright and stored:
        raise MisfitError(
            f'fits its image {image_path} both as it is stored and turned by its EXIF orientation '
            f'{orientation}, so nothing shows on which of them it was drawn',
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
