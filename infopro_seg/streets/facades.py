"""Houses with shops below and rows of windows above."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from infopro_seg.streets.camera import Floats
from infopro_seg.streets.canvas import Canvas
from infopro_seg.streets.planes import Side, masonry

DETAILED = 45.0  # depth in metres up to which bricks and stains can be seen

# adds a rectangle (left, bottom, right, top) in metres, and its colour
Add = Callable[[float, float, float, float, Floats], None]

PLASTER = (
    (0.82, 0.76, 0.64), (0.74, 0.66, 0.54), (0.7, 0.52, 0.43), (0.84, 0.82, 0.78),
    (0.62, 0.6, 0.58), (0.78, 0.62, 0.44), (0.6, 0.66, 0.66), (0.76, 0.6, 0.57),
    (0.56, 0.35, 0.28), (0.66, 0.68, 0.6), (0.5, 0.5, 0.54), (0.88, 0.79, 0.55),
)  # fmt: skip


def draw_house(
    canvas: Canvas,
    rng: np.random.Generator,
    front: float,
    z: tuple[float, float],
    height: float,
) -> None:
    """Draws a house with its facade at `x = front` that reaches away from the street."""
    right = front > 0
    deep = front + (12 if right else -12)
    color = np.array(PLASTER[rng.integers(len(PLASTER))]) + rng.normal(0, 0.025, 3)
    trim = np.clip(color + rng.choice([-0.2, 0.14]), 0, 1)
    near, far = (front, z[0]), (front, z[1])
    street = Side(canvas, far if right else near, near if right else far, height)
    gable = Side(canvas, near if right else (deep, z[0]), (deep, z[0]) if right else near, height)
    pitch = rng.uniform(1.5, 4) if rng.random() < 0.5 else 0.0
    style = Windows.sample(rng, canvas.mood.lamps)
    bricks = masonry(rng, brick=rng.random() < 0.35) if z[0] < DETAILED else None
    roof = np.array([0.42, 0.24, 0.19]) if rng.random() < 0.6 else np.array([0.3, 0.3, 0.33])
    with canvas.object('building'):
        if pitch:
            ridge = (front + deep) / 2
            slope = [
                (front, height, z[1]), (front, height, z[0]),
                (ridge, height + pitch, z[0]), (ridge, height + pitch, z[1]),
            ]  # fmt: skip
            up = np.array([-0.5 if right else 0.5, 0.86, 0.0])
            pixels = canvas.camera.project(np.array(slope))
            canvas.fill(pixels, roof, street.depth, canvas.mood.light(up))
            tip = [(front, height, z[0]), (deep, height, z[0]), (ridge, height + pitch, z[0])]
            canvas.fill(canvas.camera.project(np.array(tip)), color, z[0], gable.light)
        canvas.fill(gable.quad, color, z[0] + 1, gable.light)
        if canvas.sees(gable.quad):
            gable.paint(*style.rectangles(rng, gable.length, height, color, shops=False))
        canvas.fill(street.quad, color, street.depth, street.light)
        if bricks is not None:
            canvas.project_texture(street.quad, bricks)
        street.paint([(0, 0, street.length, 0.7), (0, 3.4, street.length, 3.7)], trim * 0.85)
        street.paint([(0, height - 0.5, street.length, height)], trim)
        street.paint(*style.rectangles(rng, street.length, height, color, shops=True))


@dataclass(frozen=True)
class Windows:
    """The style of the windows of a house; lengths are in metres."""

    pitch: float
    width: float
    rise: float
    frame: float
    storey: float
    glass: Floats
    lamps: float
    shop: Floats
    balconies: bool

    @classmethod
    def sample(cls, rng: np.random.Generator, lamps: float) -> 'Windows':
        """A random style."""
        pitch = rng.uniform(2.2, 4)
        return cls(
            pitch=pitch,
            width=pitch * rng.uniform(0.35, 0.7),
            rise=rng.uniform(1.2, 1.9),
            frame=rng.uniform(0.06, 0.16),
            storey=rng.uniform(2.8, 3.5),
            glass=np.array([0.2, 0.25, 0.32]) + rng.normal(0, 0.05, 3),
            lamps=lamps,
            shop=rng.uniform(0.15, 0.75, 3),
            balconies=rng.random() < 0.3,
        )

    def rectangles(
        self, rng: np.random.Generator, length: float, height: float, color: Floats, shops: bool
    ) -> tuple[list[tuple[float, float, float, float]], NDArray[np.float64]]:
        """The rectangles to paint on a facade, and their colours."""
        shapes: list[tuple[float, float, float, float]] = []
        colors: list[Floats] = []

        def add(left: float, bottom: float, right: float, top: float, paint: Floats) -> None:
            shapes.append((left, bottom, right, top))
            colors.append(paint)

        count = max(int((length - 0.6) / self.pitch), 1)
        margin = (length - count * self.pitch) / 2
        light_frame = np.clip(color + 0.18, 0, 0.95)
        for column in range(count):
            middle = margin + (column + 0.5) * self.pitch
            if shops:
                self._ground_floor(rng, middle, add)
            floor = 4.2 if shops else 1.0
            while floor + self.rise + 0.8 < height:
                half = self.width / 2
                rim = self.frame
                lit = rng.random() < self.lamps
                glass = np.array([1.5, 1.15, 0.7]) if lit else self.glass * rng.uniform(0.7, 1.35)
                top = floor + self.rise
                add(middle - half - rim, floor - rim, middle + half + rim, top + rim, light_frame)
                add(middle - half, floor, middle + half, top, glass)
                add(middle - half, floor + self.rise * 0.55, middle + half, top, glass * 1.25)
                add(middle - 0.04, floor, middle + 0.04, top, light_frame)
                if self.balconies and shops and column % 2:
                    add(middle - half - 0.4, floor - 0.5, middle + half + 0.4, floor + 0.5,
                        color * 0.72)  # fmt: skip
                else:
                    add(middle - half - 0.2, floor - 0.2, middle + half + 0.2, floor - rim,
                        color * 0.7)  # fmt: skip
                floor += self.storey
        return shapes, np.array(colors)

    def _ground_floor(self, rng: np.random.Generator, middle: float, add: Add) -> None:
        half = self.pitch * 0.42
        kind = rng.random()
        lit = rng.random() < self.lamps * 1.5
        glass = np.array([1.4, 1.1, 0.7]) if lit else self.glass * rng.uniform(0.6, 1.2)
        if kind < 0.2:
            door = rng.uniform(0.15, 0.45, 3)
            add(middle - 0.75, 0, middle + 0.75, 2.7, np.full(3, 0.7))
            add(middle - 0.6, 0, middle + 0.6, 2.4, door)
            add(middle - 0.4, 1.2, middle + 0.4, 2.2, self.glass)
        else:
            add(middle - half, 0.5, middle + half, 2.6, np.full(3, 0.25))
            add(middle - half + 0.1, 0.6, middle + half - 0.1, 2.5, glass)
            add(middle - half + 0.1, 1.6, middle + half - 0.1, 2.5, glass * 1.2)
            if kind > 0.5:
                add(middle - half, 2.55, middle + half, 3.2, self.shop)
                add(middle - half * 0.6, 2.75, middle + half * 0.6, 3.0, np.full(3, 0.9))
