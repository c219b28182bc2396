"""Boxes with sloping sides, and decals painted on their faces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from infopro_seg.streets.camera import Floats
from infopro_seg.streets.canvas import Canvas

# corners of each face, seen from outside: bottom left, bottom right, top right, top left
FACES = {
    'back': (0, 1, 5, 4),
    'right': (1, 2, 6, 5),
    'front': (2, 3, 7, 6),
    'left': (3, 0, 4, 7),
    'top': (4, 5, 6, 7),
}

Extent = tuple[float, float, float, float]  # least and greatest x and z, in metres

Spot = tuple[float, float]
# a rectangle (left, bottom, right, top) or four corners of a face that is 1 wide and high
Where = tuple[float, float, float, float] | tuple[Spot, Spot, Spot, Spot]

Decal = tuple[Where, ArrayLike]  # a place on a face, and its colour


@dataclass(frozen=True)
class Place:
    """Where an object stands.

    Args:
        x: metres to the right of the camera.
        z: metres along the street.
        yaw: rotation about the vertical axis in radians; 0 faces away from the camera.
        light: share of the light that reaches it.
        y: height of the ground in metres.
    """

    x: float
    z: float
    yaw: float = 0.0
    light: float = 1.0
    y: float = 0.0


@dataclass
class Model:
    """Draws the solids of an object at a place, in the coordinates of the object."""

    canvas: Canvas
    place: Place
    _turn: Floats = field(init=False)

    def __post_init__(self) -> None:
        cos, sin = np.cos(self.place.yaw), np.sin(self.place.yaw)
        self._turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])

    def world(self, points: ArrayLike) -> Floats:
        """Maps points `(..., 3)` of the object to the world."""
        at = np.array([self.place.x, self.place.y, self.place.z])
        moved: Floats = np.asarray(points, dtype=np.float64) @ self._turn.T + at
        return moved

    def pixels(self, points: ArrayLike) -> Floats:
        """Maps points `(..., 3)` of the object to the image."""
        return self.canvas.camera.project(self.world(points))

    def box(
        self,
        bottom: Extent,
        top: Extent,
        heights: tuple[float, float],
        color: ArrayLike,
        decals: Mapping[str, Sequence[Decal]] | None = None,
        colors: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        """Draws the visible faces of a box.

        Args:
            bottom: extent of the lower side.
            top: extent of the upper side.
            heights: heights of the lower and the upper side in metres.
            color: colour of the material.
            decals: the decals of each face, by its name.
            colors: other colours of some faces, by their names.
        """
        vertices = [
            [x, y, z]
            for (left, right, back, front), y in zip((bottom, top), heights, strict=True)
            for x, z in ((left, back), (right, back), (right, front), (left, front))
        ]
        world = self.world(vertices)
        pixels = self.canvas.camera.project(world)
        if not self.canvas.sees(pixels):
            return
        depth = max(float(world[:, 2].mean()), 0.0)
        for name, face in FACES.items():
            quad = pixels[list(face)]
            if _area(quad) >= 0:
                continue
            light = self.light(world[list(face)])
            paint = color if colors is None else colors.get(name, color)
            self.canvas.fill(quad, paint, depth, light)
            if decals and decals.get(name):
                self.decals(world[list(face)], decals[name], light)

    def light(self, quad: Floats) -> Floats:
        """The light on a face `(4, 3)`."""
        (ux, uy, uz), (vx, vy, vz) = (quad[3] - quad[0]).tolist(), (quad[1] - quad[0]).tolist()
        normal = np.array([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx])
        normal /= max(sqrt(normal @ normal), 1e-9)
        return self.canvas.mood.light(normal) * self.place.light

    def decals(self, quad: Floats, decals: Sequence[Decal], light: Floats) -> None:
        """Paints decals on a face, whose corners `(4, 3)` are in the world."""
        spots = np.array([corners(where) for where, _ in decals])
        colors = np.array([color for _, color in decals], dtype=np.float64)
        world = on_quad(quad, spots)
        pixels = self.canvas.camera.project(world)
        self.canvas.paint_many(pixels, colors, world[:, :, 2].mean(axis=1), light)

    def wheel(self, x: float, z: float, radius: float, rim: ArrayLike) -> None:
        """Draws a wheel whose visible side is at `x`."""
        angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        up, along = radius + radius * np.sin(angle), z + radius * np.cos(angle)
        disc = np.stack([np.full(16, x), up, along], axis=1)
        pixels = self.pixels(disc)
        light = self.canvas.mood.light() * self.place.light
        depth = self.place.z
        self.canvas.fill(pixels, (0.06, 0.06, 0.07), depth, light)
        hub = pixels.mean(axis=0)
        self.canvas.paint(hub + (pixels - hub) * 0.6, rim, depth, light)
        self.canvas.paint(hub + (pixels - hub) * 0.22, (0.2, 0.2, 0.22), depth, light)

    def sees(self, x: float) -> bool:
        """Whether the camera sees the side of the object that faces `x`."""
        side = np.sign(x) * self._turn[:, 0]
        eye = np.array([0.0, self.canvas.camera.eye, 0.0])
        return bool(side @ (eye - self.world([x, 1.0, 0.0])) > 0)


def corners(where: Where) -> Sequence[Spot]:
    """The four corners of a decal on a face."""
    spots = np.array(where)
    if spots.ndim == 2:
        return [(float(s), float(t)) for s, t in spots]
    left, bottom, right, top = spots.tolist()
    return [(left, bottom), (right, bottom), (right, top), (left, top)]


def mirrored(decals: Sequence[Decal]) -> list[Decal]:
    """Decals with left and right swapped."""
    flipped: list[Decal] = []
    for where, color in decals:
        a, b, c, d = ((1 - s, t) for s, t in corners(where))
        flipped.append(((a, b, c, d), color))
    return flipped


def on_quad(quad: Floats, spots: Floats) -> Floats:
    """Maps spots `(..., 2)` in [0, 1] onto a quad `(4, 3)` of the world."""
    s, t = spots[..., :1], spots[..., 1:]
    low = quad[0] * (1 - s) + quad[1] * s
    high = quad[3] * (1 - s) + quad[2] * s
    mixed: Floats = low * (1 - t) + high * t
    return mixed


def _area(quad: Floats) -> float:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = quad.tolist()
    return float((cx - ax) * (dy - by) - (dx - bx) * (cy - ay))
