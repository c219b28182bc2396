"""Houses, walls, fences and parks along the pavement."""

from collections.abc import Iterator

import numpy as np

from infopro_seg.streets.barriers import draw_fence, draw_wall
from infopro_seg.streets.canvas import Canvas
from infopro_seg.streets.facades import draw_house
from infopro_seg.streets.ground import Shadow
from infopro_seg.streets.layout import Plot, Street, Verge
from infopro_seg.streets.plants import draw_bush, draw_hedge, draw_tree
from infopro_seg.streets.solids import Place

FAR = 65.0  # depth in metres beyond which every plot is drawn as a house


def draw_roadside(canvas: Canvas, rng: np.random.Generator, street: Street) -> None:
    """Draws the plots of both sides, far to near."""
    plots = [(plot, verge) for verge in street.verges for plot in verge.plots]
    heights = {id(verge): rng.uniform(7, 17) for verge in street.verges}
    for plot, verge in sorted(plots, key=lambda pair: -pair[0].z[0]):
        height = float(np.clip(heights[id(verge)] + rng.normal(0, 2.5), 5.5, 24))
        _draw_plot(canvas, rng, plot, verge, height)


def cast_shadows(street: Street) -> Iterator[Shadow]:
    """Yields the shadows of the plots, with typical heights."""
    tall = {'house': 9.0, 'wall': 1.8, 'fence': 1.0}
    for verge in street.verges:
        for plot in verge.plots:
            if plot.kind in tall:
                deep = verge.outer + verge.sign * (12 if plot.kind == 'house' else 0.3)
                x = (min(verge.outer, deep), max(verge.outer, deep))
                yield Shadow(x, plot.z, tall[plot.kind], contact=plot.kind != 'fence')


def _draw_plot(canvas: Canvas, rng: np.random.Generator, plot: Plot, verge: Verge, height: float) -> None:
    sign, outer, (near, far) = verge.sign, verge.outer, plot.z
    if plot.kind == 'gap':
        return
    if plot.kind == 'house' or near > FAR:
        draw_house(canvas, rng, outer, plot.z, height)
        if near < FAR and rng.random() < 0.25:
            draw_hedge(canvas, rng, outer - sign * 0.4, (near + 1, min(far - 1, near + 7)), 0.9)
        return
    if rng.random() < 0.55:
        draw_house(canvas, rng, outer + sign * rng.uniform(7, 14), plot.z, height)
    _draw_garden(canvas, rng, plot, outer + sign * 1.5, sign, dense=plot.kind == 'park')
    if plot.kind == 'wall':
        draw_wall(canvas, rng, outer, plot.z, rng.uniform(1.3, 2.8))
    elif plot.kind == 'fence':
        kind = str(rng.choice(['boards', 'bars', 'mesh'], p=[0.3, 0.4, 0.3]))
        ends = ((outer, far), (outer, near))
        start, stop = ends if sign > 0 else ends[::-1]
        draw_fence(canvas, rng, start, stop, rng.uniform(1.1, 2.2), kind)
    elif rng.random() < 0.35:
        draw_hedge(canvas, rng, outer + sign * 0.5, plot.z, rng.uniform(0.8, 1.6))


def _draw_garden(
    canvas: Canvas, rng: np.random.Generator, plot: Plot, x: float, sign: int, dense: bool
) -> None:
    near, far = plot.z
    count = max(round((far - near) / (4.5 if dense else 7)), 1)
    for z in np.sort(rng.uniform(max(near, 3), max(far, 3.5), count))[::-1]:
        spot = Place(x + sign * rng.uniform(0.5, 7), float(z))
        if rng.random() < 0.65:
            height = rng.uniform(4, 10)
            draw_tree(canvas, rng, spot, height, height * rng.uniform(0.22, 0.34))
        else:
            draw_bush(canvas, rng, spot, rng.uniform(0.9, 2.2))
