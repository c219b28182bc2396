"""Flat figures that face the camera."""

from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import ArrayLike

from infopro_seg.streets.camera import Floats
from infopro_seg.streets.canvas import Canvas
from infopro_seg.streets.solids import Place

Point = tuple[float, float]

_ANGLES = np.linspace(-np.pi / 2, np.pi / 2, 6)
ARC = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)  # half a circle that bulges along the first axis


@dataclass(frozen=True)
class Board:
    """A flat figure, measured in metres to its front and up from where it stands.

    Args:
        canvas: the canvas to draw on.
        place: where it stands.
        stretch: factor of its horizontal axis: negative if it faces left, small if seen from behind.
    """

    canvas: Canvas
    place: Place
    stretch: float = 1.0

    @property
    def light(self) -> Floats:
        """Light on the figure."""
        return self.canvas.mood.light() * self.place.light

    def pixels(self, points: ArrayLike) -> Floats:
        """Maps points `(..., 2)` of the figure to the image."""
        camera, place = self.canvas.camera, self.place
        zoom = camera.pixels(1.0, place.z)
        foot = (camera.center + zoom * place.x, camera.horizon + zoom * (camera.eye - place.y))
        placed: Floats = np.asarray(points) * (zoom * self.stretch, -zoom) + foot
        return placed

    def fill(self, points: ArrayLike, color: ArrayLike) -> None:
        """Paints a polygon of the figure."""
        self.canvas.fill(self.pixels(points), color, self.place.z, self.light)

    def disc(self, center: Point, radii: Point, color: ArrayLike) -> None:
        """Paints an ellipse."""
        self.fill(oval(center, radii), color)

    def limb(self, start: Point, stop: Point, widths: Point, color: ArrayLike) -> None:
        """Paints a rounded bar with these widths at its ends, which do not depend on the stretch."""
        first, last = self.pixels(start), self.pixels(stop)
        metre = self.canvas.camera.pixels(1.0, self.place.z)
        thin = self.canvas.camera.hairline
        bar = _bar(first, last, max(widths[0] * metre, thin), max(widths[1] * metre, thin))
        self.canvas.fill(bar, color, self.place.z, self.light)

    def line(self, points: ArrayLike, width: float, color: ArrayLike, closed: bool = False) -> None:
        """Paints a line without adding it to the outline."""
        metre = self.canvas.camera.pixels(1.0, self.place.z)
        self.canvas.stroke(self.pixels(points), width * metre, color, self.place.z, self.light, closed)


def oval(center: Point, radii: Point, count: int = 14) -> Floats:
    """A polygon around an ellipse."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    ring: Floats = np.stack(
        [center[0] + radii[0] * np.cos(angle), center[1] + radii[1] * np.sin(angle)], axis=1
    )
    return ring


def _bar(start: Floats, stop: Floats, first: float, last: float) -> Floats:
    along, down = (stop - start).tolist()
    length = hypot(along, down)
    cos, sin = (along / length, down / length) if length else (1.0, 0.0)
    ahead = ARC @ np.array([[cos, sin], [-sin, cos]])
    bar: Floats = np.concatenate([stop + ahead * last / 2, start - ahead * first / 2])
    return bar
