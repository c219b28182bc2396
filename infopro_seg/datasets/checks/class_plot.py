"""Draws how often each class of a data set occurs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from infopro_seg.datasets.checks.tables import class_rows
from infopro_seg.datasets.checks.whole_split import SplitReport


def plot_classes(report: SplitReport, path: Path) -> None:
    """Draws the share of each class on a logarithmic axis, in the classes' colours."""
    rows = class_rows(report)
    shares = np.array([row['share'] for row in rows])
    least = min([*shares[shares > 0].tolist(), 0.01])
    left = 10 ** np.floor(np.log10(least) - 0.3)
    most = max(shares.max(), 10 * left)
    figure = Figure(figsize=(9, 1.3 + 0.27 * len(rows)), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    colors = np.array(report.split.palette) / 255
    axes.barh(range(len(rows)), np.maximum(shares, left), color=colors, edgecolor='0.35', linewidth=0.5)
    for index, row in enumerate(rows):
        seen = row['images'] > 0
        plural = '' if row['images'] == 1 else 's'
        text = f'{row["share"]:.2%} of pixels, {row["images"]} image{plural}' if seen else 'never seen'
        axes.annotate(
            text,
            (max(row['share'], left), index),
            xytext=(4, 0),
            textcoords='offset points',
            va='center',
            fontsize=7.5,
            color='0.2' if seen else 'red',
        )
    axes.set_xscale('log')
    axes.set_xlim(left, most * (most / left) ** 0.5)  # the annotation of the longest bar needs room
    axes.set_xticks([tick for tick in 10.0 ** np.arange(-9, 1) if tick >= left])
    axes.xaxis.set_major_formatter(lambda value, _: f'{value:.6%}'.rstrip('0%').rstrip('.') + '%')
    axes.minorticks_off()
    names = [f'{row["name"]}  {row["id"]}' for row in rows]
    axes.set_yticks(range(len(rows)), names, fontsize=8, parse_math=False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.spines[['top', 'right']].set_visible(False)
    axes.grid(axis='x', linewidth=0.4, color='0.85')
    axes.set_axisbelow(True)
    axes.set_xlabel('share of the pixels that are not ignored', fontsize=8)
    axes.tick_params(axis='x', labelsize=8)
    axes.set_title(
        f'{report.split.name}: {report.labels} label images, {report.ignored_share:.2%} of pixels ignored',
        fontsize=10,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
