"""Parts that vehicles share: paint, windows and tyres."""

import numpy as np

from infopro_seg.streets.solids import Decal, Model

PAINT = (
    (0.75, 0.76, 0.78), (0.9, 0.9, 0.89), (0.08, 0.08, 0.09), (0.3, 0.31, 0.33),
    (0.55, 0.09, 0.09), (0.12, 0.2, 0.42), (0.42, 0.44, 0.47), (0.16, 0.28, 0.24),
    (0.62, 0.55, 0.42), (0.85, 0.7, 0.2), (0.25, 0.4, 0.58), (0.5, 0.52, 0.54),
)  # fmt: skip
GLASS = np.array([0.13, 0.16, 0.2])
SHINE = np.array([0.36, 0.42, 0.48])
WHITE_LAMP = (1.15, 1.12, 1.0)
RED_LAMP = (0.85, 0.08, 0.07)
AMBER = (1.1, 0.62, 0.12)


def pane(left: float, bottom: float, right: float, top: float) -> list[Decal]:
    """A window that reflects a slanted strip of sky."""
    width, rise = right - left, top - bottom
    shine = (
        (left + 0.25 * width, bottom), (left + 0.5 * width, bottom),
        (left + 0.7 * width, bottom + rise), (left + 0.45 * width, bottom + rise),
    )  # fmt: skip
    return [((left, bottom, right, top), GLASS), (shine, GLASS * 0.6 + SHINE * 0.4)]


def draw_tyres(model: Model, half: float, back: float, front: float, size: float = 0.36) -> None:
    """Draws the dark underside and the treads of the wheels, as far as they can be seen."""
    if model.canvas.camera.pixels(size, model.place.z) * model.canvas.scale < 6:
        return
    low = (-half + 0.12, half - 0.12, back - size, front + size)
    model.box(low, low, (0.14, 0.5), (0.07, 0.07, 0.08))
    for z in sorted((back, front), key=lambda z: -model.world([0, 0, z])[2]):
        for left in (-half, half - 0.22):
            tread = (left, left + 0.22, z - size, z + size)
            model.box(tread, tread, (0.0, 0.4), (0.05, 0.05, 0.055))
