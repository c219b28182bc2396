"""Labels of points in a plot that do not cover each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

MARKERS = (
    ('exact', 'o', 'exact gradients'),
    ('local', '^', 'local gradients'),
    ('frozen', 's', 'frozen stages'),
)
CLEARER = 1.6  # times as far as from its own point a name is from points of other names
PLACES = (  # around a point, in points: offset, and how the text lies to it
    ((5, 4), 'left', 'bottom'),
    ((5, -4), 'left', 'top'),
    ((-5, 4), 'right', 'bottom'),
    ((-5, -4), 'right', 'top'),
    ((0, 9), 'center', 'bottom'),
    ((0, -9), 'center', 'top'),
)


def annotate(axes: Any, points: Sequence[tuple[float, float, str]], bold: Sequence[bool] = ()) -> None:
    """Writes a name beside each point that has room for one: clear of other names and points.

    Args:
        axes: matplotlib's, its limits final and everything else drawn.
        points: x, y and name, the most important first.
        bold: which names stand out; none by default.
    """
    from matplotlib.patheffects import withStroke  # slow to import, and not needed for a table

    figure = axes.figure
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    legend = axes.get_legend()
    taken = [] if legend is None else [legend.get_window_extent(renderer)]
    dots = [axes.transData.transform((x, y)) for x, y, _ in points]
    for index, (x, y, name) in enumerate(points):
        for offset, horizontal, vertical in PLACES:
            text = axes.annotate(
                name,
                (x, y),
                xytext=offset,
                textcoords='offset points',
                ha=horizontal,
                va=vertical,
                fontsize=8,
                fontweight='bold' if index < len(bold) and bold[index] else 'normal',
            )
            text.set_path_effects([withStroke(linewidth=2, foreground='white')])
            box = text.get_window_extent(renderer)
            own = _distance(box, dots[index])
            others = [dot for dot, point in zip(dots, points, strict=True) if point[2] != name]
            clear = all(_distance(box, dot) > CLEARER * own for dot in others)
            inside = axes.bbox.x0 < box.x0 and box.x1 < axes.bbox.x1
            inside &= axes.bbox.y0 < box.y0 and box.y1 < axes.bbox.y1
            free = not any(box.overlaps(other) for other in taken)
            if inside and free and clear:
                taken.append(box)
                break
            text.remove()


def _distance(box: Any, dot: Any) -> float:
    """From a point to the nearest of a box."""
    x, y = dot
    nearest = min(max(x, box.x0), box.x1), min(max(y, box.y0), box.y1)
    return math.dist(nearest, (x, y))
