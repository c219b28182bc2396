"""Poles, traffic lights, signs, and small things of the classes static and dynamic."""

import numpy as np
from numpy.typing import ArrayLike

from infopro_seg.streets.camera import Floats
from infopro_seg.streets.canvas import Canvas
from infopro_seg.streets.figures import Board, oval
from infopro_seg.streets.solids import Model, Place

STEEL = np.array([0.42, 0.43, 0.44])


def draw_pole(
    board: Board, height: float, radius: float, color: ArrayLike = STEEL, base: float = 0.0
) -> None:
    """Draws an upright pole as an object of its own."""
    canvas = board.canvas
    with canvas.object('pole'):
        width = max(2 * radius * canvas.camera.pixels(1, board.place.z), canvas.camera.hairline)
        foot, tip = board.pixels([(0.0, base), (0.0, height)])
        half = np.array([width / 2, 0])
        canvas.fill(np.array([foot - half, foot + half, tip + half * 0.8, tip - half * 0.8]), color,
                    board.place.z, board.light)  # fmt: skip
        canvas.paint(np.array([foot - half, foot - half * 0.2, tip - half * 0.2, tip - half * 0.8]),
                     np.asarray(color) * 0.65, board.place.z, board.light)  # fmt: skip


def draw_lamp(canvas: Canvas, rng: np.random.Generator, place: Place) -> None:
    """Draws a street lamp that reaches over the road."""
    height = rng.uniform(5.5, 9)
    board = Board(canvas, place, -np.sign(place.x) or 1.0)
    color = STEEL * rng.choice([0.5, 0.8, 1.15])
    draw_pole(board, height, 0.09, color)
    reach = rng.uniform(0.8, 2)
    with canvas.object('pole'):
        board.limb((0, height - 0.05), (reach, height + 0.25), (0.12, 0.1), color)
        board.limb((reach - 0.1, height + 0.25), (reach + 0.6, height + 0.2), (0.2, 0.14), color * 0.8)
    if rng.random() < canvas.mood.lamps * 1.5:
        spot = board.pixels((reach + 0.25, height + 0.15))
        for size, alpha in ((1.3, 0.12), (0.7, 0.25), (0.3, 0.9)):
            ring = spot + oval((0, 0), (size, size)) * canvas.camera.pixels(1, place.z)
            canvas.glaze(ring, (1.6, 1.35, 0.85), alpha, place.z)


def draw_bollard(canvas: Canvas, rng: np.random.Generator, place: Place) -> None:
    """Draws a bollard, which is labelled as a pole."""
    board = Board(canvas, place)
    color = STEEL * 0.5 if rng.random() < 0.6 else np.array([0.72, 0.7, 0.66])
    height = rng.uniform(0.8, 1.1)
    draw_pole(board, height, 0.09, color)
    canvas.paint(board.pixels([(-0.08, height * 0.7), (0.08, height * 0.7), (0.08, height * 0.85),
                               (-0.08, height * 0.85)]), (0.85, 0.2, 0.15), place.z)  # fmt: skip


def draw_traffic_light(canvas: Canvas, rng: np.random.Generator, place: Place, over: float) -> None:
    """Draws traffic lights on a pole; one hangs `over` metres out above the road, unless that is 0."""
    board = Board(canvas, place)
    height = 5.6 if over else rng.uniform(3.0, 3.5)
    draw_pole(board, height, 0.09, STEEL * 0.7)
    state = int(rng.integers(3))
    if over:
        with canvas.object('pole'):
            board.limb((0, height - 0.1), (over, height), (0.12, 0.1), STEEL * 0.7)
        _signal(board, (over, height - 0.15), state)
    _signal(board, (float(-np.sign(place.x)) * 0.28, rng.uniform(2.9, 3.3)), state)
    if rng.random() < 0.4:
        _signal(board, (float(np.sign(place.x)) * 0.24, 2.4), int(rng.integers(3)), small=True)


def _signal(board: Board, center: tuple[float, float], state: int, small: bool = False) -> None:
    canvas = board.canvas
    grow = 0.8 if small else 1.15
    width, rise = 0.2 * grow, 0.52 * grow
    metre = canvas.camera.pixels(1, board.place.z)
    width = max(width, canvas.camera.hairline * 0.9 / metre)
    x, y = center
    on = ((1.2, 0.12, 0.1), (1.2, 0.75, 0.1), (0.15, 1.05, 0.5))
    with canvas.object('traffic light'):
        board.fill([(x - width, y - rise), (x + width, y - rise), (x + width, y + rise),
                    (x - width, y + rise)], (0.07, 0.08, 0.08))  # fmt: skip
        board.fill([(x - width, y + rise), (x + width, y + rise), (x + width * 0.6, y + rise * 1.2),
                    (x - width * 0.6, y + rise * 1.2)], (0.05, 0.05, 0.05))  # fmt: skip
        for index, color in enumerate(on):
            spot = (x, y + rise * (0.62 - 0.62 * index))
            lit = index == state
            tone = np.array(color) * (1.0 if lit else 0.16)
            canvas.paint(board.pixels(oval(spot, (width * 0.68, width * 0.68))), tone, board.place.z)
        lamp = (x, y + rise * (0.62 - 0.62 * state))
        canvas.glaze(board.pixels(oval(lamp, (width, width))), on[state], 0.35, board.place.z)


def draw_sign(canvas: Canvas, rng: np.random.Generator, place: Place, scale: float = 1.0) -> None:
    """Draws one or two traffic signs on a pole."""
    board = Board(canvas, place)
    height = rng.uniform(2.3, 3.1)
    size = rng.uniform(0.36, 0.46) * scale
    draw_pole(board, height + size, 0.05, STEEL * 1.1)
    _plate(board, rng, (0.0, height), size)
    if rng.random() < 0.4:
        _plate(board, rng, (0.0, height - 2.1 * size), size * 0.9)


def draw_gantry(canvas: Canvas, rng: np.random.Generator, place: Place) -> None:
    """Draws a direction sign on two poles."""
    wide, low = rng.uniform(1.0, 1.6), rng.uniform(2.0, 2.6)
    board = Board(canvas, place)
    color = np.array([[0.9, 0.78, 0.15], [0.12, 0.25, 0.58], [0.1, 0.4, 0.26]])[rng.integers(3)]
    ink = np.full(3, 0.08) if color[0] > 0.5 else np.full(3, 0.92)
    top = low + rng.uniform(1.0, 1.5)
    for x in (-wide * 0.7, wide * 0.7):
        draw_pole(Board(canvas, Place(place.x + x, place.z, light=place.light)), top, 0.06)
    with canvas.object('traffic sign'):
        rim = [(-wide, low), (wide, low), (wide, top), (-wide, top)]
        board.fill(rim, ink)
        inner = [(-wide + 0.06, low + 0.06), (wide - 0.06, low + 0.06), (wide - 0.06, top - 0.06),
                 (-wide + 0.06, top - 0.06)]  # fmt: skip
        board.fill(inner, color)
        for row in range(3):
            y = low + (top - low) * (0.25 + 0.25 * row)
            stop = rng.uniform(0.1, 0.8) * wide
            board.line([(-wide * 0.7, y), (stop, y)], 0.1, ink)


def _plate(board: Board, rng: np.random.Generator, center: tuple[float, float], size: float) -> None:
    kind = rng.choice(['ban', 'warn', 'order', 'park', 'stop', 'give', 'back'])
    canvas = board.canvas
    x, y = center
    size = max(size, canvas.camera.hairline * 1.4 / canvas.camera.pixels(1, board.place.z))
    red, blue, white = (0.78, 0.08, 0.1), (0.08, 0.25, 0.62), (0.93, 0.93, 0.92)

    def ring(count: int, radius: float, turn: float = 0.0) -> Floats:
        angle = np.arange(count) * 2 * np.pi / count + turn + np.pi / 2
        spots: Floats = np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)
        return spots

    with canvas.object('traffic sign'):
        if kind == 'back':
            board.fill(ring(14, size), (0.5, 0.51, 0.52))
        elif kind == 'ban':
            board.fill(ring(16, size), red)
            board.fill(ring(16, size * 0.72), white)
            board.line([(x - size * 0.3, y), (x + size * 0.3, y)], 0.14, (0.1, 0.1, 0.1))
        elif kind in ('warn', 'give'):
            turn = 0.0 if kind == 'warn' else np.pi
            board.fill(ring(3, size * 1.25, turn), red)
            board.fill(ring(3, size * 0.8, turn), white if kind == 'give' else (0.95, 0.93, 0.85))
            if kind == 'warn':
                board.line([(x, y - size * 0.2), (x, y + size * 0.35)], 0.08, (0.1, 0.1, 0.1))
        elif kind == 'order':
            board.fill(ring(16, size), blue)
            board.line([(x, y - size * 0.6), (x, y + size * 0.5)], 0.12, white)
        elif kind == 'stop':
            board.fill(ring(8, size * 1.05, np.pi / 8), red)
            board.line([(x - size * 0.6, y), (x + size * 0.6, y)], 0.2, white)
        else:
            square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size * 0.9 + [x, y]
            board.fill(square, blue)
            board.line([(x - size * 0.2, y - size * 0.5), (x - size * 0.2, y + size * 0.5),
                        (x + size * 0.3, y + size * 0.25), (x - size * 0.2, y)], 0.1, white)  # fmt: skip


def draw_clutter(canvas: Canvas, rng: np.random.Generator, place: Place) -> None:
    """Draws a bin, a box or an advertising pillar (static), or a bag or pram (dynamic)."""
    color = np.array([[0.2, 0.32, 0.22], [0.35, 0.35, 0.36], [0.8, 0.66, 0.12], [0.5, 0.2, 0.16]])
    paint = color[rng.integers(len(color))] * rng.uniform(0.8, 1.1)
    kind = rng.random()
    model = Model(canvas, place)
    if kind < 0.45:
        with canvas.object('static'):
            half, top = rng.uniform(0.25, 0.4), rng.uniform(0.9, 1.3)
            low = (-half, half, -half, half)
            model.box(low, low, (0, top), paint, {'back': [((0.2, 0.6, 0.8, 0.8), paint * 0.5)]})
    elif kind < 0.75:
        with canvas.object('static'):
            low = (-0.08, 0.08, -0.6, 0.6)
            poster = rng.uniform(0.2, 0.9, 3)
            model.box(low, low, (0.3, 2.4), (0.3, 0.31, 0.32), {
                side: [((0.06, 0.06, 0.94, 0.94), poster), ((0.2, 0.5, 0.8, 0.8), 1 - poster)]
                for side in ('left', 'right')})  # fmt: skip
    else:
        with canvas.object('dynamic'):
            low = (-0.28, 0.28, -0.2, 0.2)
            model.box(low, low, (0, rng.uniform(0.4, 0.8)), paint)


def draw_wires(canvas: Canvas, x: float, height: float) -> None:
    """Draws the overhead wire of a tram, which is too thin to label."""
    depths = np.geomspace(4, 120, 16)
    line = np.stack([np.full(16, x), np.full(16, height), depths], axis=1)
    pixels = canvas.camera.project(line)
    width = canvas.camera.width / 1000
    canvas.stroke(pixels, width, (0.15, 0.15, 0.16), 30)
