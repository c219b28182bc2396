"""Cars and trucks."""

import numpy as np

from infopro_seg.streets.canvas import Canvas
from infopro_seg.streets.coachwork import PAINT, RED_LAMP, WHITE_LAMP, draw_tyres, pane
from infopro_seg.streets.solids import Decal, Model, Place, mirrored


def draw_car(canvas: Canvas, rng: np.random.Generator, place: Place) -> float:
    """Draws a car and returns its length in metres."""
    kind = rng.choice(['hatch', 'sedan', 'estate', 'suv', 'van'], p=[0.25, 0.25, 0.2, 0.18, 0.12])
    length, belt, roof, hood, tail = {
        'hatch': (4.0, 0.92, 1.48, 0.28, 0.03),
        'sedan': (4.6, 0.92, 1.45, 0.28, 0.18),
        'estate': (4.6, 0.93, 1.5, 0.28, 0.02),
        'suv': (4.6, 1.05, 1.75, 0.25, 0.03),
        'van': (5.0, 1.15, 2.0, 0.16, 0.01),
    }[str(kind)]
    length *= rng.uniform(0.95, 1.05)
    color = np.array(PAINT[rng.integers(len(PAINT))]) + rng.normal(0, 0.02, 3)
    half, low = rng.uniform(0.86, 0.95), 0.24
    back, front = -length / 2, length / 2
    model = Model(canvas, place)
    plate = (0.36, 0.3, 0.64, 0.42)
    side: list[Decal] = [
        ((0.0, 0.0, 1.0, 0.16), color * 0.4),
        ((0.0, 0.62, 1.0, 0.66), np.clip(color * 1.25, 0, 1)),
        ((0.47, 0.1, 0.476, 0.95), color * 0.6),
        ((0.68, 0.1, 0.686, 0.95), color * 0.6),
        ((0.5, 0.76, 0.54, 0.81), color * 0.5),
    ]
    ends: dict[str, list[Decal]] = {
        'back': [
            ((0.0, 0.0, 1.0, 0.2), color * 0.4),
            ((0.02, 0.55, 0.2, 0.85), RED_LAMP),
            ((0.8, 0.55, 0.98, 0.85), RED_LAMP),
            (plate, (0.9, 0.9, 0.86)),
            ((0.0, 0.24, 1.0, 0.27), color * 0.6),
        ],
        'front': [
            ((0.0, 0.0, 1.0, 0.18), (0.1, 0.1, 0.1)),
            ((0.24, 0.42, 0.76, 0.72), (0.09, 0.09, 0.1)),
            ((0.03, 0.55, 0.22, 0.8), WHITE_LAMP),
            ((0.78, 0.55, 0.97, 0.8), WHITE_LAMP),
            ((0.36, 0.2, 0.64, 0.34), (0.9, 0.9, 0.86)),
        ],
        'right': side,
        'left': mirrored(side),
    }
    cabin_low = (-half + 0.03, half - 0.03, back + tail * length, front - hood * length)
    lean = 0.16 * length if kind != 'van' else 0.1 * length
    cabin_high = (
        -half + 0.2, half - 0.2,
        back + tail * length + (0.22 if kind in ('estate', 'suv', 'van') else 0.5),
        front - hood * length - lean,
    )  # fmt: skip
    window = pane(0.06, 0.1, 0.94, 0.86)
    windows: list[Decal] = [*pane(0.1, 0.08, 0.42, 0.86), *pane(0.45, 0.08, 0.68, 0.86),
                            *pane(0.71, 0.08, 0.93, 0.84)]  # fmt: skip
    if kind == 'van' and rng.random() < 0.6:
        windows = pane(0.74, 0.2, 0.96, 0.86)
    glass = {
        'back': window,
        'front': window,
        'right': windows,
        'left': mirrored(windows),
    }
    with canvas.object('car'):
        draw_tyres(model, half, back + 0.17 * length, front - 0.17 * length)
        model.box(
            (-half, half, back, front), (-half + 0.04, half - 0.04, back + 0.06, front - 0.1),
            (low, belt), color, ends, {'top': np.clip(color * 1.1, 0, 1)},
        )  # fmt: skip
        model.box(cabin_low, cabin_high, (belt, roof), color, glass)
        for x in (-half, half):
            if model.sees(x):
                for z in (back + 0.19 * length, front - 0.19 * length):
                    model.wheel(x, z, 0.33, (0.6, 0.61, 0.63))
    if abs(np.sin(place.yaw)) < 0.3:
        z = back if np.cos(place.yaw) > 0 else front
        number = [(-0.26, 0.5, z), (0.26, 0.5, z), (0.26, 0.6, z), (-0.26, 0.6, z)]
        with canvas.object('license plate'):
            canvas.outline(model.pixels(number))
    return length


def draw_truck(canvas: Canvas, rng: np.random.Generator, place: Place) -> float:
    """Draws a truck with a box, a tarpaulin or an open bed and returns its length in metres."""
    length = rng.uniform(6.5, 9.5)
    tall = rng.uniform(3.0, 3.8)
    half, cab = 1.2, 2.0
    back, front = -length / 2, length / 2
    color = np.array(PAINT[rng.integers(len(PAINT))]) + rng.normal(0, 0.02, 3)
    cargo = np.array(PAINT[rng.integers(len(PAINT))]) if rng.random() < 0.6 else np.full(3, 0.82)
    cargo = cargo + rng.normal(0, 0.02, 3)
    stripe = rng.uniform(0.1, 0.9, 3)
    open_bed = rng.random() < 0.2
    model = Model(canvas, place)
    flank: list[Decal] = [((0.0, 0.0, 1.0, 0.05), cargo * 0.5), ((0.0, 0.95, 1.0, 1.0), cargo * 0.7)]
    if rng.random() < 0.5:
        flank += [((0.15, 0.35, 0.85, 0.7), stripe), ((0.2, 0.45, 0.8, 0.6), stripe * 0.6 + 0.4)]
    else:
        flank += [((s, 0.05, s + 0.012, 0.95), cargo * 0.75) for s in np.arange(0.08, 1, 0.12)]
    doors: list[Decal] = [
        ((0.49, 0.0, 0.51, 1.0), cargo * 0.45),
        ((0.24, 0.05, 0.255, 0.95), cargo * 0.6),
        ((0.745, 0.05, 0.76, 0.95), cargo * 0.6),
        ((0.0, 0.0, 1.0, 0.06), (0.3, 0.3, 0.3)),
        ((0.0, 0.07, 0.12, 0.1), RED_LAMP),
        ((0.88, 0.07, 1.0, 0.1), RED_LAMP),
    ]
    face: list[Decal] = [
        *pane(0.06, 0.5, 0.94, 0.86),
        ((0.1, 0.2, 0.9, 0.42), color * 0.35),
        ((0.02, 0.06, 0.2, 0.16), WHITE_LAMP),
        ((0.8, 0.06, 0.98, 0.16), WHITE_LAMP),
        ((0.0, 0.0, 1.0, 0.05), (0.12, 0.12, 0.12)),
    ]
    door = pane(0.3, 0.5, 0.92, 0.86)
    bar = (-half, half, back, front - 0.2)
    bumper: list[Decal] = [
        ((0.02, 0.3, 0.18, 0.8), RED_LAMP),
        ((0.82, 0.3, 0.98, 0.8), RED_LAMP),
        ((0.4, 0.2, 0.6, 0.7), (0.85, 0.85, 0.8)),
    ]
    bed = (-half, half, back, front - cab - 0.3)
    head = (-half + 0.02, half - 0.02, front - cab, front)
    brow = (-half + 0.08, half - 0.08, front - cab, front - 0.3)

    def draw_bed() -> None:
        top = 1.9 if open_bed else tall
        model.box(bed, bed, (0.95, top), cargo, {'back': doors, 'right': flank, 'left': flank})

    def draw_cab() -> None:
        faces = {'front': face, 'right': door, 'left': mirrored(door)}
        model.box(head, brow, (0.5, min(tall - 0.2, 2.8)), color, faces)

    leaving = np.cos(place.yaw) > 0
    with canvas.object('truck'):
        draw_tyres(model, half, back + 1.2, front - 1.2, 0.5)
        model.box(bar, bar, (0.45, 0.95), (0.15, 0.15, 0.16), {'back': bumper})
        for part in (draw_cab, draw_bed) if leaving else (draw_bed, draw_cab):
            part()
        for x in (-half, half):
            if model.sees(x):
                for z in (back + 1.0, back + 2.1, front - 1.1):
                    model.wheel(x, z, 0.48, (0.5, 0.5, 0.52))
    return length
