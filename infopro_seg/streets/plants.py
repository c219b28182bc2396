"""Trees, bushes and hedges."""

import numpy as np

from infopro_seg.streets.camera import Floats
from infopro_seg.streets.canvas import Canvas
from infopro_seg.streets.solids import Place

GREENS = (
    (0.24, 0.36, 0.13), (0.31, 0.42, 0.16), (0.19, 0.31, 0.15), (0.37, 0.43, 0.18),
    (0.28, 0.34, 0.2), (0.46, 0.4, 0.16),
)  # fmt: skip


def draw_tree(canvas: Canvas, rng: np.random.Generator, place: Place, height: float, spread: float) -> None:
    """Draws a tree; its trunk is labelled as vegetation, as in Cityscapes.

    Args:
        canvas: the canvas to draw on.
        rng: random numbers for its shape.
        place: where it stands.
        height: its height in metres.
        spread: radius of the crown in metres.
    """
    camera = canvas.camera
    foot = camera.project(np.array([place.x, place.y, place.z]))
    metre = camera.pixels(1.0, place.z)
    bark = np.array([0.3, 0.24, 0.19]) * rng.uniform(0.8, 1.2)
    light = canvas.mood.light() * place.light
    lean = rng.normal(0, 0.2)
    neck = foot + np.array([lean, -height * 0.6]) * metre
    half = max(0.1 + height * 0.014, camera.hairline * 0.75 / metre) * metre
    side, twig = np.array([half, 0]), np.array([half * 0.5, 0])
    trunk = np.array([foot - side, foot + side, neck + twig, neck - twig])
    with canvas.object('vegetation'):
        canvas.fill(trunk, bark, place.z, light)
        shade = np.array([foot - side, foot, neck, neck - twig])
        canvas.paint(shade, bark * 0.75, place.z, light)
        middle = foot + np.array([lean, -height + spread * 0.9]) * metre
        count = 9
        angle = rng.uniform(0, 2 * np.pi, count)
        reach = np.sqrt(rng.uniform(0.05, 1, count)) * 0.6 * spread * metre
        centers = middle + np.stack([np.cos(angle), np.sin(angle) * 1.05], axis=1) * reach[:, None]
        radii = rng.uniform(0.4, 0.62, count) * spread * metre
        draw_foliage(canvas, rng, centers, radii, place.z, place.light)


def draw_hedge(
    canvas: Canvas,
    rng: np.random.Generator,
    x: float,
    z: tuple[float, float],
    height: float,
    light: float = 1.0,
) -> None:
    """Draws a row of bushes along the street at `x`."""
    depth = z[1]
    while depth > z[0]:
        draw_bush(canvas, rng, Place(x + rng.normal(0, 0.15), depth, light=light), height)
        depth -= max(height * 0.8, depth / 22)


def draw_bush(canvas: Canvas, rng: np.random.Generator, place: Place, height: float) -> None:
    """Draws a bush that reaches down to the ground."""
    camera = canvas.camera
    metre = camera.pixels(1.0, place.z)
    foot = camera.project(np.array([place.x, place.y, place.z]))
    count = 5
    radii = rng.uniform(0.36, 0.5, count) * height * metre
    offsets = np.stack([rng.uniform(-0.6, 0.6, count), rng.uniform(-0.6, -0.42, count)], axis=1)
    with canvas.object('vegetation'):
        draw_foliage(canvas, rng, foot + offsets * height * metre, radii, place.z, place.light)


def draw_foliage(
    canvas: Canvas,
    rng: np.random.Generator,
    centers: Floats,
    radii: Floats,
    depth: float,
    light: float,
) -> None:
    """Fills discs `(N, 2)` with leaves, brighter toward the sun."""
    if not canvas.sees(np.concatenate([centers - radii[:, None], centers + radii[:, None]])):
        return
    green = np.array(GREENS[rng.integers(len(GREENS))]) + rng.normal(0, 0.02, 3)
    lit = canvas.mood.light() * light
    angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for center, radius in zip(centers, radii, strict=True):
        wobble = 1 + rng.normal(0, 0.06, (14, 1))
        canvas.fill(center + ring * radius * wobble, green * 0.5, depth, lit)
    size = float(radii.mean())
    leaves = int(np.clip(size * canvas.scale * 5, 16, 150))
    owner = rng.integers(0, len(centers), leaves)
    inner = np.sqrt(rng.uniform(0, 1, leaves)) * radii[owner] * 0.86
    turn = rng.uniform(0, 2 * np.pi, leaves)
    offset = np.stack([np.cos(turn), np.sin(turn)], axis=1) * inner[:, None]
    spots = centers[owner] + offset
    sun = canvas.mood.toward_sun
    toward = np.array([sun[0], -max(sun[1], 0.5)])
    toward /= np.linalg.norm(toward)
    height = (spots - spots.mean(axis=0)) @ toward / max(float(np.ptp(spots, axis=0).max()), 1e-6)
    order = np.argsort(height)
    bright = 0.78 + 0.75 * height + rng.normal(0, 0.13, leaves)
    colors = green * np.clip(bright, 0.4, 1.6)[:, None] * lit
    sizes = size * rng.uniform(0.1, 0.22, leaves)
    canvas.dots(spots[order], sizes[order], colors[order], depth)
