"""Walls and fences along the pavement."""

import numpy as np

from infopro_seg.streets.canvas import Canvas
from infopro_seg.streets.planes import Side, masonry

BRICK = ((0.55, 0.32, 0.25), (0.6, 0.42, 0.33), (0.47, 0.36, 0.31), (0.63, 0.57, 0.5))
CONCRETE = ((0.6, 0.59, 0.57), (0.52, 0.52, 0.52), (0.68, 0.65, 0.6), (0.58, 0.54, 0.48))


def draw_wall(
    canvas: Canvas, rng: np.random.Generator, x: float, z: tuple[float, float], height: float
) -> None:
    """Draws a wall of bricks or concrete along the street at `x`."""
    brick = rng.random() < 0.5
    shades = BRICK if brick else CONCRETE
    color = np.array(shades[rng.integers(len(shades))]) + rng.normal(0, 0.02, 3)
    far_first = x > 0
    side = Side(canvas, (x, z[1 if far_first else 0]), (x, z[0 if far_first else 1]), height)
    with canvas.object('wall'):
        end = Side(canvas, (x, z[0]), (x + 0.35, z[0]), height)
        canvas.fill(end.quad, color * 0.9, z[0], end.light)
        canvas.fill(side.quad, color, side.depth, side.light)
        canvas.project_texture(side.quad, masonry(rng, brick))
        length = side.length
        if not brick:
            joints = np.arange(0, length, rng.uniform(1.5, 3))
            side.paint([(j, 0, j + 0.07, height) for j in joints], color * 0.7)
        if rng.random() < 0.5:
            for start in np.arange(rng.uniform(0, 3), length - 2, rng.uniform(3, 8)):
                tag = rng.uniform(0.1, 0.8, 3)
                low, wide = rng.uniform(0.3, 0.7), rng.uniform(0.8, 1.8)
                side.paint([(start, low, start + wide, min(low + 0.8, height - 0.3))], tag)
        side.paint([(0, 0, length, 0.25)], color * 0.75)
        side.paint([(0, height - 0.2, length, height)], np.clip(color * 1.15, 0, 1))


def draw_fence(
    canvas: Canvas,
    rng: np.random.Generator,
    start: tuple[float, float],
    stop: tuple[float, float],
    height: float,
    kind: str,
) -> None:
    """Draws a fence between two points (x, z) of the ground.

    Args:
        canvas: the canvas to draw on.
        rng: random numbers for its look.
        start: one end in metres.
        stop: the other end.
        height: its height in metres.
        kind: `'boards'`, which are opaque, or `'bars'` or `'mesh'`, which are not.
    """
    side = Side(canvas, start, stop, height)
    length, depth = side.length, side.depth
    wood = np.array([0.5, 0.36, 0.24]) + rng.normal(0, 0.04, 3)
    metal = np.array([[0.2, 0.24, 0.22], [0.55, 0.56, 0.57], [0.14, 0.14, 0.16]])[rng.integers(3)]
    with canvas.object('fence'):
        if kind == 'boards':
            canvas.fill(side.quad, wood, depth, side.light)
            edges = np.arange(0, length, 0.22)
            shades = wood * rng.uniform(0.75, 1.15, (len(edges), 1))
            side.paint([(e, 0.05, e + 0.18, height) for e in edges], shades)
            side.paint([(0, height * 0.8, length, height * 0.87)], wood * 0.6)
            return
        canvas.outline(side.quad)
        canvas.glaze(side.quad, metal, 0.3 if kind == 'mesh' else 0.18, depth)
        line = canvas.camera.pixels(0.035, min(start[1], stop[1]))
        gap = 0.16 if kind == 'bars' else 0.26
        gap = max(gap, 2.6 * depth / canvas.camera.focal * length / max(_span(side), 1.0))
        spots = np.arange(0, length, gap)
        low, high = side.pixels(np.c_[spots, spots * 0]), side.pixels(np.c_[spots, spots * 0 + height])
        slant = height if kind == 'mesh' else 0.0
        for foot, head in zip(low, high, strict=True):
            canvas.stroke(np.stack([foot, head]), line, metal, depth, side.light)
        if slant:
            for up in np.arange(0.2, height, 0.26):
                canvas.stroke(side.pixels([(0, up), (length, up)]), line, metal, depth, side.light)
        posts = np.arange(0, length + 0.01, max(length / max(round(length / 2.5), 1), 0.5))
        side.paint([(p - 0.04, 0, p + 0.04, height) for p in posts], metal * 0.85)
        side.paint([(0, height - 0.09, length, height), (0, 0.12, length, 0.2)], metal)


def _span(side: Side) -> float:
    return float(np.ptp(side.quad[:, 0]))
