"""Bicycles, motorcycles and their riders."""

import numpy as np

from infopro_seg.streets.camera import Floats
from infopro_seg.streets.canvas import Canvas
from infopro_seg.streets.figures import Board, Point, oval
from infopro_seg.streets.people import CLOTHES, HAIR, SKIN, pick
from infopro_seg.streets.solids import Place


def draw_bicycle(canvas: Canvas, rng: np.random.Generator, place: Place, stretch: float) -> None:
    """Draws a bicycle; its wheels are labelled as discs, as in Cityscapes."""
    board = Board(canvas, place, stretch)
    color = np.clip(pick(rng, CLOTHES) * 1.3, 0, 1)
    tire = np.array([0.07, 0.07, 0.08])
    narrow = abs(stretch) < 0.45
    wheel = 0.35
    with canvas.object('bicycle'):
        for x in (-0.54, 0.54):
            rim = oval((x, wheel), (wheel, wheel), 22)
            canvas.outline(board.pixels(rim))
            canvas.glaze(board.pixels(rim), (0.3, 0.3, 0.32), 0.3, place.z)
            board.line(rim, 0.055, tire, closed=True)
            if not narrow and canvas.camera.pixels(1, place.z) * canvas.scale > 60:
                for turn in np.arange(0, np.pi, np.pi / 6):
                    spoke = np.array([np.cos(turn), np.sin(turn)]) * wheel * 0.95
                    hub = np.array([x, wheel])
                    board.line([hub - spoke, hub + spoke], 0.008, (0.5, 0.5, 0.52))
        back, pedal, seat, head, fork = (
            (-0.54, wheel), (-0.08, 0.3), (-0.22, 0.88), (0.36, 0.85), (0.54, wheel),
        )  # fmt: skip
        bars = ((back, pedal), (back, seat), (pedal, seat), (seat, head), (pedal, head), (head, fork))
        for start, stop in bars:
            board.limb(start, stop, (0.05, 0.05), color)
        board.limb((-0.34, 0.95), (-0.1, 0.95), (0.08, 0.05), (0.08, 0.08, 0.08))
        board.limb(head, (0.33, 1.03), (0.04, 0.04), (0.2, 0.2, 0.2))
        if narrow:
            across = 0.27 / max(abs(stretch), 0.05)
            board.limb((0.33 - across, 1.03), (0.33 + across, 1.03), (0.05, 0.05), (0.15, 0.15, 0.15))
        else:
            board.limb((0.33, 1.03), (0.46, 1.0), (0.05, 0.05), (0.1, 0.1, 0.1))
        if rng.random() < 0.4:
            board.fill([(-0.75, 0.72), (-0.4, 0.72), (-0.4, 0.95), (-0.75, 0.95)], color * 0.6)


def draw_motorcycle(canvas: Canvas, rng: np.random.Generator, place: Place, stretch: float) -> None:
    """Draws a motorcycle or a scooter."""
    board = Board(canvas, place, stretch)
    color = pick(rng, ((0.6, 0.1, 0.1), (0.1, 0.1, 0.11), (0.12, 0.25, 0.5), (0.75, 0.75, 0.76),
                        (0.15, 0.4, 0.25), (0.8, 0.5, 0.1)))  # fmt: skip
    dark, steel = np.array([0.07, 0.07, 0.08]), np.array([0.5, 0.5, 0.52])
    scooter = rng.random() < 0.35
    wheel = 0.27 if scooter else 0.33
    ends = (-0.62, 0.66)
    narrow = abs(stretch) < 0.45
    with canvas.object('motorcycle'):
        for x in ends:
            board.disc((x, wheel), (wheel, wheel), dark)
            board.disc((x, wheel), (wheel * 0.55, wheel * 0.55), steel * 0.8)
            board.disc((x, wheel), (wheel * 0.2, wheel * 0.2), dark)
        board.limb((0.66, wheel), (0.42, 1.0), (0.09, 0.09), steel)
        board.fill([(-0.5, 0.3), (0.3, 0.26), (0.45, 0.6), (0.1, 0.78), (-0.45, 0.72)], steel * 0.55)
        board.limb((-0.9, 0.42), (0.0, 0.3), (0.12, 0.08), steel * 1.2)
        if scooter:
            board.fill([(0.3, 0.2), (0.62, 0.36), (0.5, 1.02), (0.36, 1.02)], color)
            board.fill(
                [(-0.85, 0.5), (-0.2, 0.32), (0.3, 0.25), (0.28, 0.36), (-0.1, 0.78), (-0.8, 0.8)], color
            )
        else:
            board.fill([(-0.1, 0.66), (0.44, 0.72), (0.4, 0.95), (0.05, 0.98), (-0.15, 0.85)], color)
            board.fill([(-0.95, 0.82), (-0.4, 0.66), (-0.1, 0.76), (-0.3, 0.86), (-0.9, 0.95)], color)
            board.fill([(0.4, 0.75), (0.66, 0.86), (0.55, 1.12), (0.42, 1.05)], color)
        board.limb((-0.75, 0.86), (-0.05, 0.84), (0.12, 0.13), dark)
        board.limb((0.4, 1.05), (0.3, 1.14), (0.06, 0.06), dark)
        if narrow:
            wide = 1 / max(abs(stretch), 0.05)
            board.limb((0.3 - 0.36 * wide, 1.12), (0.3 + 0.36 * wide, 1.12), (0.06, 0.06), dark)
            board.disc((0.0, 0.82), (0.17 * wide, 0.2), color)
            lamp = (0.9, 0.1, 0.08) if rng.random() < 0.5 else (1.2, 1.15, 1.0)
            board.disc((0.0, 0.84), (0.08 * wide, 0.08), lamp)
        else:
            board.disc((0.62, 0.92), (0.06, 0.07), (1.1, 1.05, 0.95))
            board.disc((-0.93, 0.86), (0.04, 0.05), (0.8, 0.1, 0.1))


def draw_rider(canvas: Canvas, rng: np.random.Generator, place: Place, stretch: float, motor: bool) -> None:
    """Draws a bicycle, or a motorcycle if `motor`, with its rider."""
    draw = draw_motorcycle if motor else draw_bicycle
    draw(canvas, rng, place, stretch)
    board = Board(canvas, place, stretch)
    shirt, trousers, shoes = pick(rng, CLOTHES), pick(rng, CLOTHES) * 0.8, pick(rng, CLOTHES) * 0.5
    skin = pick(rng, SKIN)
    helmet = motor or rng.random() < 0.55
    cap = pick(rng, ((0.85, 0.85, 0.83), (0.1, 0.1, 0.11), (0.7, 0.12, 0.1), (0.15, 0.3, 0.6)))
    hip, chest = (-0.2, 0.98), (0.12 if motor else 0.16, 1.47)
    grip = (0.32, 1.12) if motor else (0.38, 1.05)
    wide = 0.17 / max(abs(stretch), 0.05) if abs(stretch) < 0.45 else 0.0
    high = rng.uniform(0.35, 0.55)
    with canvas.object('rider'):
        for sign, dark in ((-1, 0.7), (1, 1.0)):
            x = sign * wide
            knee = (0.22 + x, 0.72 + (0.09 * sign if not motor else 0.0))
            foot = (0.02 + x, (0.32 if motor else high - 0.16 + 0.14 * sign) + 0.05)
            board.limb((hip[0] + x * 0.6, hip[1]), knee, (0.2, 0.15), trousers * dark)
            board.limb(knee, foot, (0.15, 0.1), trousers * dark)
            board.limb(foot, (foot[0] + (0.12 if not wide else 0.0), foot[1] - 0.03), (0.1, 0.08), shoes)
            if sign < 0:
                _reach(board, chest, grip, x, shirt * 0.7, skin)
        board.limb(hip, chest, (0.3, 0.36 if wide else 0.3), shirt)
        board.limb((hip[0] - 0.05, hip[1]), (chest[0] - 0.08, chest[1] - 0.05), (0.1, 0.1), shirt * 0.75)
        _reach(board, chest, grip, wide, shirt * 0.92, skin)
        head = (chest[0] + 0.06, chest[1] + 0.27)
        board.limb(chest, head, (0.12, 0.11), skin * 0.85)
        scale = 1 / max(abs(stretch), 0.5)
        board.disc(head, (0.095 * scale, 0.12), skin)
        if helmet:
            grow = 0.145 if motor else 0.12
            lift = 0.02 if motor else 0.06
            board.disc(
                (head[0] - 0.01, head[1] + lift), (grow * scale, grow * (1.05 if motor else 0.75)), cap
            )
            if motor and not wide:
                board.disc((head[0] + 0.09, head[1] + 0.01), (0.05, 0.06), (0.1, 0.12, 0.15))
        else:
            board.disc((head[0] - 0.02, head[1] + 0.045), (0.1 * scale, 0.085), pick(rng, HAIR))
        if rng.random() < 0.3:
            board.limb(
                (hip[0] - 0.12, 1.15), (chest[0] - 0.16, chest[1] - 0.08), (0.2, 0.22), pick(rng, CLOTHES)
            )


def _reach(board: Board, chest: Point, grip: Point, x: float, color: Floats, skin: Floats) -> None:
    shoulder = (chest[0] + x * 0.9, chest[1] - 0.06)
    elbow = ((chest[0] + grip[0]) / 2 - 0.04 + x * 1.3, (chest[1] + grip[1]) / 2 - 0.08)
    hand = (grip[0] + x * 1.3, grip[1])
    board.limb(shoulder, elbow, (0.12, 0.1), color)
    board.limb(elbow, hand, (0.1, 0.07), color)
    board.limb(hand, hand, (0.09, 0.09), skin)
