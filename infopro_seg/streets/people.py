"""Pedestrians, and the clothes that people wear."""

from collections.abc import Callable

import numpy as np

from infopro_seg.streets.camera import Floats
from infopro_seg.streets.canvas import Canvas
from infopro_seg.streets.figures import Board
from infopro_seg.streets.solids import Place

CLOTHES = (
    (0.13, 0.14, 0.18), (0.2, 0.26, 0.38), (0.42, 0.12, 0.13), (0.62, 0.6, 0.55),
    (0.24, 0.3, 0.22), (0.5, 0.36, 0.2), (0.78, 0.76, 0.72), (0.3, 0.3, 0.32),
    (0.16, 0.34, 0.4), (0.68, 0.42, 0.14), (0.44, 0.26, 0.4), (0.7, 0.2, 0.22),
)  # fmt: skip
SKIN = ((0.85, 0.66, 0.54), (0.72, 0.52, 0.4), (0.45, 0.3, 0.22), (0.9, 0.73, 0.62))
HAIR = ((0.12, 0.09, 0.07), (0.3, 0.2, 0.12), (0.6, 0.48, 0.3), (0.5, 0.48, 0.46))


def draw_person(canvas: Canvas, rng: np.random.Generator, place: Place, height: float) -> None:
    """Draws a person who stands or walks."""
    size = height / 1.75
    side = rng.random() < 0.55
    face = float(rng.choice([-1, 1])) * size
    board = Board(canvas, place, face)
    shirt, trousers, shoes = pick(rng, CLOTHES), pick(rng, CLOTHES) * 0.8, pick(rng, CLOTHES) * 0.5
    skin, hair = pick(rng, SKIN), pick(rng, HAIR)
    stride = rng.uniform(0.05, 0.34) if side else rng.uniform(0.07, 0.13)
    swing = stride * 0.8 if side else 0.3
    build = rng.uniform(0.9, 1.2)

    def up(value: float) -> float:
        return value * size

    with canvas.object('person'):
        for sign, dark in ((-1, 0.72), (1, 1.0)):
            hip, knee = (sign * (0.03 if side else 0.09), up(0.92)), (sign * stride * 0.55, up(0.48))
            foot = (sign * stride - (0.08 if sign < 0 and side else 0), up(0.07))
            board.limb(hip, knee, (0.19 * build * size, 0.14 * size), trousers * dark)
            board.limb(knee, foot, (0.14 * size, 0.1 * size), trousers * dark)
            toe = (foot[0] + (0.13 if side else sign * 0.03), up(0.045))
            board.limb(foot, toe, (0.1 * size, 0.08 * size), shoes * dark)
            if sign < 0:
                _arm(board, -swing, side, up, shirt * 0.7, skin, size)
        wide = (0.15 if side else 0.22) * build
        skirt = rng.random() < 0.3
        hem = up(0.6) if skirt else up(0.86)
        board.fill(
            [(-wide * 0.85, hem), (wide * 0.85, hem), (wide * 0.8, up(1.1)), (wide, up(1.4)),
             (wide * 0.5, up(1.5)), (-wide * 0.5, up(1.5)), (-wide, up(1.4)), (-wide * 0.8, up(1.1))],
            shirt,
        )  # fmt: skip
        back = [(-wide * 0.85, hem), (-wide * 0.3, hem), (-wide * 0.3, up(1.45)), (-wide, up(1.4))]
        canvas.paint(board.pixels(back), shirt * 0.72, place.z, board.light)
        _arm(board, swing, side, up, shirt * 0.92, skin, size)
        board.limb((0, up(1.48)), (0.01, up(1.58)), (0.11 * size, 0.11 * size), skin * 0.85)
        board.disc((0.01, up(1.64)), (0.095, 0.12 * size), skin)
        nape = -0.025 if side else 0.0
        board.disc((nape, up(1.685)), (0.1, 0.085 * size), hair)
        if rng.random() < 0.35:
            bag = pick(rng, CLOTHES)
            spot = (-0.2, up(1.2)) if side else (0.25, up(0.75))
            board.disc(spot, (0.1, 0.2 * size if side else 0.13), bag)


def _arm(
    board: Board,
    swing: float,
    side: bool,
    up: Callable[[float], float],
    color: Floats,
    skin: Floats,
    size: float,
) -> None:
    shoulder = (0.0, up(1.4)) if side else (np.sign(swing) * 0.21, up(1.4))
    elbow = (swing * 0.5 if side else swing * 0.95, up(1.12))
    hand = (swing + 0.06 if side else swing * 0.9, up(0.86))
    board.limb(shoulder, elbow, (0.11 * size, 0.09 * size), color)
    board.limb(elbow, hand, (0.09 * size, 0.07 * size), color)
    board.limb(hand, hand, (0.09 * size, 0.09 * size), skin)


def pick(rng: np.random.Generator, colors: tuple[tuple[float, float, float], ...]) -> Floats:
    """One of the colours at random, a little darker or lighter."""
    picked: Floats = np.array(colors[rng.integers(len(colors))]) * rng.uniform(0.85, 1.15)
    return picked
