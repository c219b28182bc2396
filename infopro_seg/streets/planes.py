"""Vertical planes that houses, walls and fences are painted on."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from infopro_seg.streets.camera import Floats
from infopro_seg.streets.canvas import Canvas
from infopro_seg.streets.noise import patch


@dataclass(frozen=True)
class Side:
    """A vertical plane, measured in metres along the ground and up.

    Args:
        canvas: the canvas to draw on.
        start: x and z in metres of its lower left corner, as the camera sees it.
        stop: x and z in metres of its lower right corner.
        height: its height in metres.
        base: height of its lower edge in metres.
    """

    canvas: Canvas
    start: tuple[float, float]
    stop: tuple[float, float]
    height: float
    base: float = 0.0

    @property
    def length(self) -> float:
        """Length along the ground in metres."""
        return float(np.hypot(self.stop[0] - self.start[0], self.stop[1] - self.start[1]))

    @property
    def depth(self) -> float:
        """Mean depth in metres."""
        return (self.start[1] + self.stop[1]) / 2

    @property
    def quad(self) -> Floats:
        """Pixels of the corners: bottom left, bottom right, top right, top left."""
        return self.pixels([(0, 0), (self.length, 0), (self.length, self.height), (0, self.height)])

    @property
    def light(self) -> Floats:
        """Light on the plane."""
        along = np.array([self.stop[0] - self.start[0], self.stop[1] - self.start[1]])
        normal = np.array([along[1], 0.0, -along[0]]) / max(self.length, 1e-6)
        return self.canvas.mood.light(normal)

    def world(self, spots: ArrayLike) -> Floats:
        """Maps spots `(..., 2)` in metres (along, up) to the world."""
        spots = np.asarray(spots, dtype=np.float64)
        share = spots[..., 0] / max(self.length, 1e-6)
        x = self.start[0] + (self.stop[0] - self.start[0]) * share
        z = self.start[1] + (self.stop[1] - self.start[1]) * share
        return np.stack([x, spots[..., 1] + self.base, z], axis=-1)

    def pixels(self, spots: ArrayLike) -> Floats:
        """Maps spots `(..., 2)` in metres to the image."""
        return self.canvas.camera.project(self.world(spots))

    def paint(self, rectangles: list[tuple[float, float, float, float]], colors: ArrayLike) -> None:
        """Paints rectangles (left, bottom, right, top) in metres, in one or in many colours."""
        if not rectangles:
            return
        left, bottom, right, top = np.array(rectangles, dtype=np.float64).T
        spots = np.stack([left, bottom, right, bottom, right, top, left, top], axis=1)
        world = self.world(spots.reshape(-1, 4, 2))
        shades = np.broadcast_to(np.asarray(colors, dtype=np.float64), (len(rectangles), 3))
        pixels = self.canvas.camera.project(world)
        self.canvas.paint_many(pixels, shades, world[..., 2].mean(axis=1), self.light)


def masonry(rng: np.random.Generator, brick: bool) -> NDArray[np.float32]:
    """The brightness of rows of bricks, or of stained plaster."""
    stains = 1 + 0.09 * patch(rng, (128, 256), 1.0)
    return stains * _bricks() if brick else stains


@cache
def _bricks() -> NDArray[np.float32]:
    rows, columns = np.mgrid[:128, :256]
    course = rows // 5
    shifted = columns + course % 2 * 5
    joint = (rows % 5 == 0) | (shifted % 10 == 0)
    tint = np.random.default_rng(3).uniform(0.85, 1.15, (26, 27))[course, shifted // 10]
    return np.where(joint, 0.78, tint).astype(np.float32)
