"""A comparison in two pictures: learning curves, and mIoU against peak memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infopro_seg.comparison.results import MIOU
from infopro_seg.comparison.tables import MIB, real_use, traced

Rows = Sequence[Mapping[str, Any]]


def plot_curves(rows: Rows, path: Path, metric: str = MIOU) -> None:
    """Draws the metric against iterations, averaged over seeds: one panel per K, with end-to-end in each."""
    counts = sorted({row['modules'] for row in rows if row['modules'] > 1}) or [1]
    figure, panels = _figure(len(counts))
    lines: dict[str, Any] = {}  # of all panels, because a method may be missing in one
    for axes, count in zip(panels, counts, strict=True):
        for row in rows:
            if row['modules'] in (1, count) and row['curve']:
                iterations, values = zip(*row['curve'], strict=True)
                style = '-' if row['modules'] > 1 else '--' if row['method'] == 'e2e' else ':'
                label = row['method'] + (', last stage' if row['stages'] > 1 else '')
                color = _color(rows, row['method'])
                marker = 'o' if len(values) == 1 else None  # a line needs two points
                points = [100 * v for v in values]
                [lines[label]] = axes.plot(iterations, points, style, color=color, marker=marker)
        axes.set(title=f'K = {count}', xlabel='iterations')
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(f'{metric} on the validation split, %')
    beside = {'loc': 'center left', 'bbox_to_anchor': (1.02, 0.5)}
    panels[-1].legend(list(lines.values()), list(lines), fontsize=8, **beside)
    figure.savefig(path, dpi=150, bbox_inches='tight')


def plot_memory(rows: Rows, path: Path, metric: str = MIOU) -> None:
    """Draws the metric against the peak memory: measured if all runs were on a GPU, else traced."""
    measured = all(row['measured_bytes'] for row in rows)
    figure, [axes] = _figure(1)
    for index, method in enumerate(dict.fromkeys(row['method'] for row in rows)):
        group = [row for row in rows if row['method'] == method]
        memory = [(row['measured_bytes'] if measured else traced(row)['peak_bytes']) / MIB for row in group]
        values = [100 * row[metric] for row in group]
        spread = [100 * (row[f'{metric}_sd'] or 0.0) for row in group]
        color = _color(rows, method)
        axes.errorbar(memory, values, spread, marker='o', capsize=3, elinewidth=1, label=method, color=color)
        above = 6 if index % 2 else -12
        for x, y, row in zip(memory, values, group, strict=True):
            if row['modules'] > 1:
                name = f'K={row["modules"]}'
                place = {'xytext': (5, above), 'textcoords': 'offset points'}
                axes.annotate(name, (x, y), color=color, fontsize=8, **place)
    kind = 'measured' if measured else f'traced at {size}' if (size := real_use(rows)) else 'traced'
    axes.set(
        xlabel=f'peak memory of a training step, {kind}, MiB', ylabel=f'{metric}, % (mean, sd over seeds)'
    )
    axes.set_xlim(0, 1.1 * axes.dataLim.x1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc='upper left')
    figure.savefig(path, dpi=150, bbox_inches='tight')


def _figure(panels: int) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * panels + 3, 4.5))
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(1, panels, sharey=True, squeeze=False)[0])


def _color(rows: Rows, method: str) -> Any:
    """The same color for a method in every panel, and another for each other one, of up to 20."""
    from matplotlib import colormaps

    methods = list(dict.fromkeys(row['method'] for row in rows))
    colors = colormaps['tab10' if len(methods) <= 10 else 'tab20']
    return colors(methods.index(method) % colors.N)
