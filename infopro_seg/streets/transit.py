"""Buses and trams."""

from itertools import pairwise

import numpy as np

from infopro_seg.streets.camera import Floats
from infopro_seg.streets.canvas import Canvas
from infopro_seg.streets.coachwork import AMBER, PAINT, RED_LAMP, WHITE_LAMP, draw_tyres, pane
from infopro_seg.streets.solids import Decal, Model, Place


def draw_bus(canvas: Canvas, rng: np.random.Generator, place: Place) -> float:
    """Draws a city bus and returns its length in metres."""
    length, half, tall = rng.uniform(10.5, 12.5), 1.27, rng.uniform(3.0, 3.3)
    color = np.array(PAINT[rng.integers(len(PAINT))]) + rng.normal(0, 0.02, 3)
    band = np.array(PAINT[rng.integers(len(PAINT))])
    panes: list[Decal] = []
    count = 7
    for index in range(count):
        left = 0.04 + index * 0.92 / count
        panes += pane(left, 0.42, left + 0.92 / count - 0.012, 0.82)
    side: list[Decal] = [
        ((0.0, 0.0, 1.0, 0.1), color * 0.45),
        ((0.0, 0.16, 1.0, 0.28), band),
        ((0.02, 0.4, 0.98, 0.84), (0.1, 0.1, 0.11)),
        *panes,
    ]
    doors: list[Decal] = []
    for left in (0.08, 0.48, 0.86):
        doors += [((left, 0.06, left + 0.1, 0.84), (0.12, 0.12, 0.13))]
        doors += pane(left + 0.006, 0.12, left + 0.047, 0.8)
        doors += pane(left + 0.053, 0.12, left + 0.094, 0.8)
    sign = (1.1, 0.6, 0.1)
    faces: dict[str, list[Decal]] = {
        'right': [*side, *doors] if rng.random() < 0.6 else side,
        'left': side,
        'front': [
            ((0.0, 0.0, 1.0, 0.08), (0.12, 0.12, 0.12)),
            ((0.04, 0.34, 0.96, 0.96), (0.09, 0.09, 0.1)),
            *pane(0.06, 0.36, 0.94, 0.8),
            ((0.16, 0.84, 0.84, 0.93), sign),
            ((0.04, 0.14, 0.18, 0.22), WHITE_LAMP),
            ((0.82, 0.14, 0.96, 0.22), WHITE_LAMP),
            ((0.0, 0.24, 1.0, 0.3), band),
        ],
        'back': [
            ((0.0, 0.0, 1.0, 0.08), (0.12, 0.12, 0.12)),
            ((0.1, 0.14, 0.9, 0.42), color * 0.6),
            *[((0.14, 0.17 + 0.05 * i, 0.86, 0.19 + 0.05 * i), color * 0.4) for i in range(5)],
            *pane(0.1, 0.55, 0.9, 0.85),
            ((0.62, 0.88, 0.88, 0.94), sign),
            ((0.02, 0.14, 0.09, 0.5), RED_LAMP),
            ((0.91, 0.14, 0.98, 0.5), RED_LAMP),
        ],
    }
    low = (-half, half, -length / 2, length / 2)
    high = (-half + 0.08, half - 0.08, -length / 2 + 0.08, length / 2 - 0.15)
    model = Model(canvas, place)
    with canvas.object('bus'):
        draw_tyres(model, half, -length / 2 + 2.5, length / 2 - 2.5, 0.45)
        model.box(low, high, (0.3, tall), color, faces, {'top': np.clip(color * 1.05, 0, 1)})
        for x in (-half, half):
            if model.sees(x):
                for z in (-0.27 * length, 0.27 * length):
                    model.wheel(x, z, 0.46, (0.55, 0.55, 0.57))
    return length


def draw_tram(canvas: Canvas, rng: np.random.Generator, place: Place) -> float:
    """Draws a tram, which is labelled as a train, and returns its length in metres."""
    sections = int(rng.integers(2, 4))
    each, half, tall = rng.uniform(8.5, 10.5), 1.2, 3.3
    livery = (
        (0.85, 0.68, 0.12), (0.72, 0.12, 0.12), (0.86, 0.86, 0.84), (0.16, 0.42, 0.34),
        (0.14, 0.3, 0.52), (0.78, 0.42, 0.14),
    )  # fmt: skip
    color = np.array(livery[rng.integers(len(livery))]) + rng.normal(0, 0.02, 3)
    lower = np.array(livery[rng.integers(len(livery))])
    length = sections * each
    model = Model(canvas, place)
    panes: list[Decal] = [((0.0, 0.4, 1.0, 0.8), (0.08, 0.08, 0.09))]
    for index in range(5):
        panes += pane(0.03 + index * 0.19, 0.42, 0.2 + index * 0.19, 0.78)
    side: list[Decal] = [
        ((0.0, 0.0, 1.0, 0.1), (0.22, 0.22, 0.23)),
        ((0.0, 0.1, 1.0, 0.22), lower),
        ((0.0, 0.93, 1.0, 1.0), (0.5, 0.5, 0.51)),
        *panes,
        ((0.4, 0.06, 0.59, 0.84), color * 0.75),
        *pane(0.41, 0.12, 0.49, 0.8),
        *pane(0.5, 0.12, 0.58, 0.8),
    ]
    nose: list[Decal] = [
        ((0.0, 0.0, 1.0, 0.1), (0.2, 0.2, 0.2)),
        (((0.08, 0.42), (0.92, 0.42), (0.86, 0.86), (0.14, 0.86)), (0.08, 0.08, 0.09)),
        *pane(0.14, 0.45, 0.86, 0.8),
        ((0.3, 0.88, 0.7, 0.95), AMBER),
        ((0.44, 0.26, 0.56, 0.34), WHITE_LAMP),
        ((0.1, 0.14, 0.24, 0.22), WHITE_LAMP),
        ((0.76, 0.14, 0.9, 0.22), WHITE_LAMP),
        ((0.0, 0.34, 1.0, 0.38), lower),
    ]
    order = np.argsort([-model.world([0, 0, (i + 0.5) * each])[2] for i in range(sections)])
    with canvas.object('train'):
        for index in order:
            back = index * each - length / 2
            front = back + each - 0.5
            first, last = index == 0, index == sections - 1
            low = (-half, half, back, front)
            high = (
                -half + 0.1, half - 0.1,
                back + (0.9 if first else 0.0), front - (0.9 if last else 0.0),
            )  # fmt: skip
            joint = (-half + 0.25, half - 0.25, front, front + 0.5)
            if not last:
                model.box(joint, joint, (0.4, tall - 0.3), (0.13, 0.13, 0.14))
            faces = {'right': side, 'left': side}
            if first:
                faces['back'] = nose
            if last:
                faces['front'] = nose
            model.box(low, high, (0.22, tall), color, faces, {'top': (0.55, 0.56, 0.57)})
            kit = (-0.6, 0.6, back + 2.0, front - 2.0)
            model.box(kit, kit, (tall, tall + 0.3), (0.62, 0.62, 0.62))
        _pantograph(model, tall + 0.3)
    return length


def _pantograph(model: Model, roof: float) -> None:
    canvas = model.canvas
    width = max(canvas.camera.pixels(0.08, model.place.z), canvas.camera.hairline * 0.5)
    arm = model.pixels([(0, roof, 1.5), (0, roof + 0.8, 0.4), (0, roof + 1.5, 1.2)])
    bow = model.pixels([(-0.9, roof + 1.45, 1.2), (-0.6, roof + 1.5, 1.2), (0.6, roof + 1.5, 1.2),
                        (0.9, roof + 1.45, 1.2)])  # fmt: skip
    for line in (arm, bow):
        canvas.stroke(line, width, (0.2, 0.2, 0.22), model.place.z)
        for start, stop in pairwise(line):
            canvas.outline(_thick(start, stop, width))


def _thick(start: Floats, stop: Floats, width: float) -> Floats:
    along = (stop - start) / max(float(np.linalg.norm(stop - start)), 1e-6)
    across = np.array([-along[1], along[0]]) * width / 2
    return np.array([start - across, stop - across, stop + across, start + across])
