"""Names of points in a plot: each beside its own point, none over another."""

import itertools
import math

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from infopro_seg.drawing.point_names import annotate, text_box

CROWDED = [(x, y, f'K={k}') for k, (x, y) in enumerate(np.random.default_rng(0).random((40, 2)))]


def named(points, lines=False):
    """The texts that are written, with the box of each in pixels, and the axes."""
    figure = Figure(figsize=(8, 5))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.scatter(*zip(*[point[:2] for point in points], strict=True))
    annotate(axes, points, lines=lines)
    renderer = figure.canvas.get_renderer()
    return [(text.get_text(), text_box(text, renderer)) for text in axes.texts], axes


def distance(box, point, axes):
    """From a point to the box, over pixels of its outline and its inside."""
    x, y = axes.transData.transform(point[:2])
    grid = itertools.product(np.linspace(box.x0, box.x1, 50), np.linspace(box.y0, box.y1, 50))
    return min(math.dist((x, y), pixel) for pixel in grid)


def test_names_of_a_crowd_are_nearest_to_their_own_points_and_apart():
    texts, axes = named(CROWDED)
    assert len(texts) > len(CROWDED) / 2
    for (_, one), (_, other) in itertools.combinations(texts, 2):
        assert not one.overlaps(other)
    frame = axes.bbox
    for name, box in texts:
        assert frame.x0 < box.x0 < box.x1 < frame.x1
        assert frame.y0 < box.y0 < box.y1 < frame.y1
        away = {point[2]: distance(box, point, axes) for point in CROWDED}
        own = away.pop(name)
        assert min(away.values()) > 1.5 * own  # no reader takes it for another point's


@pytest.mark.parametrize(('names', 'written'), [(['a', 'a'], {'a'}), (['a', 'b'], set())])
def test_points_in_one_place_are_named_if_they_have_one_name(names, written):
    apart = [(0.0, 0.0, 'x'), (1.0, 1.0, 'y')]
    texts, _ = named([*apart, *((0.5, 0.5, name) for name in names)])
    assert {name for name, _ in texts} == {'x', 'y'} | written


def test_with_lines_every_point_of_a_cluster_is_named():
    cluster = [(0.5 + 0.001 * k, 0.5 - 0.002 * k, f'K={k} (<= 1.1)') for k in range(8)]
    texts, _ = named([(0.0, 0.0, 'x'), (1.0, 1.0, 'y'), *cluster], lines=True)
    assert {name for name, _ in texts} == {'x', 'y', *(name for _, _, name in cluster)}
    for (_, one), (_, other) in itertools.combinations(texts, 2):
        assert not one.overlaps(other)
