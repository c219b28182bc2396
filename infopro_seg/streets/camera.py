"""The pinhole camera of a scene."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

NEAR = 0.4  # depth in metres, to which nearer points are moved before projection


@dataclass(frozen=True)
class Camera:
    """A camera that looks along the street, with an upright image plane.

    World coordinates are metres: x to the right, y up from the road, z along the street.
    Pixel centres have integer coordinates.

    Args:
        width: image width in pixels.
        height: image height in pixels.
        focal: focal length in pixels.
        center: column of the vanishing point in pixels.
        horizon: row of the horizon in pixels.
        eye: height of the camera above the road in metres.
    """

    width: int
    height: int
    focal: float
    center: float
    horizon: float
    eye: float

    @classmethod
    def sample(cls, rng: np.random.Generator, size: tuple[int, int]) -> 'Camera':
        """A random camera for images of `size` (height, width)."""
        height, width = size
        span = max(width, 1.6 * height)
        return cls(
            width=width,
            height=height,
            focal=span * rng.uniform(0.66, 0.9),
            center=width * rng.uniform(0.38, 0.62),
            horizon=height * rng.uniform(0.4, 0.49),
            eye=rng.uniform(1.5, 2.1),
        )

    def project(self, points: Floats) -> Floats:
        """Maps world points `(..., 3)` to pixels `(..., 2)`."""
        zoom = self.focal / np.maximum(points[..., 2], NEAR)
        pixels = np.empty((*points.shape[:-1], 2))
        pixels[..., 0] = self.center + zoom * points[..., 0]
        pixels[..., 1] = self.horizon + zoom * (self.eye - points[..., 1])
        return pixels

    def pixels(self, metres: float, depth: float) -> float:
        """The number of pixels that a length has at a depth, both in metres."""
        return self.focal * metres / max(depth, NEAR)

    def ground_depth(self, row: Floats) -> Floats:
        """The depth of the road in metres at rows of the image below the horizon."""
        depth: Floats = self.focal * self.eye / np.maximum(row - self.horizon, 1e-3)
        return depth

    @property
    def hairline(self) -> float:
        """The smallest width of thin things in pixels, so that they stay visible in small images."""
        return max(self.width / 145, 1.2)
