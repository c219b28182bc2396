"""The contact sheet: images, and their reconstructions from each depth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from infopro_seg.probing.results import ProbeResults

COLUMNS = 6  # depths to show; more would be too small to read
CELL_WIDTH, GAP, LETTER = 1.5, 0.04, 0.085  # inches
TITLE_HEIGHT, IMAGE_GAP = 0.27, 0.14  # inches


def sheet_figure(results: ProbeResults) -> Figure:
    """Draws for each image a row per checkpoint: its reconstructions from depths spread evenly.

    Args:
        results: the results to draw.
    """
    columns = spread_names(results.chosen, COLUMNS)
    left = 0.12 + LETTER * max(len(subject.label) for subject in results.subjects)
    heights = [CELL_WIDTH * image.shape[0] / image.shape[1] for image in results.images]
    rows = len(results.subjects)
    width = left + (len(columns) + 1) * (CELL_WIDTH + GAP)
    height = TITLE_HEIGHT + sum(rows * (h + GAP) for h in heights) + IMAGE_GAP * (len(heights) - 1)
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)

    def place(picture: np.ndarray, column: int, top: float, cell_height: float) -> None:
        x, y = left + column * (CELL_WIDTH + GAP), height - top - cell_height
        axes = figure.add_axes((x / width, y / height, CELL_WIDTH / width, cell_height / height))
        axes.imshow(picture, aspect='auto')
        axes.set_axis_off()

    for column, title in enumerate(['image', *columns]):
        x, y = left + column * (CELL_WIDTH + GAP) + CELL_WIDTH / 2, height - TITLE_HEIGHT + 0.07
        figure.text(x / width, y / height, title, ha='center', va='baseline', fontsize=9)
    top = TITLE_HEIGHT
    for index, (image, cell_height) in enumerate(zip(results.images, heights, strict=True)):
        block = rows * (cell_height + GAP) - GAP
        place(image, 0, top + (block - cell_height) / 2, cell_height)
        for subject in results.subjects:
            x, y = left - 0.06, height - top - cell_height / 2
            figure.text(
                x / width, y / height, subject.label, ha='right', va='center', fontsize=9, parse_math=False
            )
            for column, name in enumerate(columns, 1):
                place(subject.reconstructions[name][index], column, top, cell_height)
            top += cell_height + GAP
        top += IMAGE_GAP
    return figure


def spread_names(names: Sequence[str], count: int) -> list[str]:
    """At most `count` names spread evenly, from the first to the last."""
    positions = np.linspace(0, len(names) - 1, min(count, len(names))).round().astype(int)
    return [names[position] for position in dict.fromkeys(positions.tolist())]
