"""Tiles of noise, from which all textures are cut."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

TILE = 512  # side length of a tile; tiles repeat seamlessly


@cache
def tile(slope: float) -> NDArray[np.float32]:
    """A seamless tile of mean 0 and deviation 1.

    Args:
        slope: exponent of its spectrum: 0 for white grain, 1 for mottled, 2 for cloudy noise.
    """
    rng = np.random.default_rng(round(slope * 100) + 7)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(TILE), np.fft.fftfreq(TILE)))
    frequency[0, 0] = np.inf
    spectrum = np.fft.fft2(rng.standard_normal((TILE, TILE))) * frequency**-slope
    field = np.fft.ifft2(spectrum).real
    field -= field.mean()
    return np.ascontiguousarray(field / field.std(), dtype=np.float32)


def patch(
    rng: np.random.Generator, shape: tuple[int, int], slope: float, cell: float = 1.0
) -> NDArray[np.float32]:
    """Cuts a patch of noise at a random place of a tile.

    Args:
        rng: random numbers for the place.
        shape: height and width of the patch in pixels.
        slope: exponent of the spectrum, as in `tile`.
        cell: size in pixels of a point of the tile.
    """
    rows = np.arange(shape[0], dtype=np.float32) / cell + rng.uniform(0, TILE)
    columns = np.arange(shape[1], dtype=np.float32) / cell + rng.uniform(0, TILE)
    if cell == 1.0:
        cut: NDArray[np.float32] = tile(slope)[np.ix_(rows.astype(int) % TILE, columns.astype(int) % TILE)]
        return cut
    return look_up(
        slope,
        np.broadcast_to(columns.astype(np.float32), shape),
        np.broadcast_to(rows.astype(np.float32)[:, None], shape),
    )


def look_up(slope: float, columns: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples a tile at any coordinates, which wrap around."""
    sampled = cv2.remap(
        tile(slope),
        np.ascontiguousarray(columns),
        np.ascontiguousarray(rows),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    return np.asarray(sampled, dtype=np.float32)
