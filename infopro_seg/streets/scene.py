"""A whole scene, composed back to front."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infopro_seg.streets.camera import Camera
from infopro_seg.streets.canvas import Canvas
from infopro_seg.streets.furniture import draw_wires
from infopro_seg.streets.ground import Ground
from infopro_seg.streets.layout import sample_street
from infopro_seg.streets.lens import draw_hood, expose
from infopro_seg.streets.mood import sample_mood
from infopro_seg.streets.roadside import cast_shadows, draw_roadside
from infopro_seg.streets.sky import draw_sky, draw_skyline
from infopro_seg.streets.traffic import populate

VERSION = 2  # of the generator; another version draws other pictures for the same seed

FINE = 384  # height in pixels; smaller images are painted at twice their size


@dataclass(frozen=True)
class Frame:
    """An image and its annotation.

    Args:
        image: RGB `(height, width, 3)`.
        annotation: the content of a `_gtFine_polygons.json` of Cityscapes.
    """

    image: NDArray[np.uint8]
    annotation: dict[str, Any]


def draw_frame(rng: np.random.Generator, size: tuple[int, int]) -> Frame:
    """Draws a street scene.

    Args:
        rng: random numbers for the whole scene.
        size: height and width of the image in pixels.
    """
    camera = Camera.sample(rng, size)
    canvas = Canvas(camera, sample_mood(rng), rng, scale=1 if size[0] >= FINE else 2)
    street = sample_street(rng)
    items = populate(rng, street)

    draw_sky(canvas, rng)
    ground = Ground(canvas, rng)
    ground.draw(street)
    ground.finish([*cast_shadows(street), *(item.shadow for item in items)])
    draw_skyline(canvas, rng)
    draw_roadside(canvas, rng, street)
    if street.rails is not None:
        draw_wires(canvas, street.rails, 5.6)
    for item in sorted(items, key=lambda item: -item.place.z):
        place = item.place
        item.draw(canvas, rng, replace(place, light=ground.light_at(place.x, place.z)))
    draw_hood(canvas, rng)

    annotation = {'imgHeight': size[0], 'imgWidth': size[1], 'objects': canvas.objects}
    return Frame(expose(canvas, rng), annotation)
