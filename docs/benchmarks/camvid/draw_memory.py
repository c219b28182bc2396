"""Draws docs/benchmarks/camvid/long/memory.png: mIoU after 1200 iterations against peak memory.

    python docs/benchmarks/camvid/draw_memory.py

Reads what tables.py reads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from tables import Row, read

FOLDER = Path(__file__).resolve().parent
GIB = 2**30
END_TO_END, EXACT, LOCAL, OTHERS = '#222222', '#4477aa', '#cc3311', '#888888'
FAR = 30  # points: a label beyond is joined to its point
SHOWN = {  # method and K: the label, its distance in points, its alignment, the color
    ('e2e', 1): ('end-to-end', (-8, 7), 'right', END_TO_END),
    ('infopro', 4): ('K = 4', (7, -4), 'left', LOCAL),
    ('infopro', 8): ('K = 8', (7, -2), 'left', LOCAL),
    ('infopro_async', 4): ('K = 4, in stages', (-7, -11), 'right', LOCAL),
    ('infopro_overlap', 4): ('K = 4, overlap=1', (0, 44), 'center', LOCAL),
    ('infopro_momentum', 4): ('K = 4, momentum block', (7, -4), 'left', LOCAL),
    ('infopro_auxiliary', 2): ('K = 2, auxiliary head', (7, 3), 'left', LOCAL),
    ('infopro_async', 8): ('K = 8, in stages', (-7, 0), 'right', LOCAL),
    ('infopro_async', 2): ('K = 2, in stages', (7, -3), 'left', LOCAL),
    ('infopro_overlap', 8): ('K = 8, overlap=1', (7, 0), 'left', LOCAL),
    ('infopro_momentum', 8): ('K = 8, momentum block', (7, -9), 'left', LOCAL),
    ('dgl', 4): ('DGL, K = 4', (-5, 28), 'right', OTHERS),
    ('greedy', 4): ('greedy SL, K = 4', (7, 0), 'left', OTHERS),
    ('frozen_prefix_long', 1): ('long frozen prefix', (-7, -4), 'right', OTHERS),
}
RECOMPUTED = {  # more FLOPs, and the distance of the label
    'E2E + recomputation (<= 1.02)': ('2 %', (3, 24)),
    'E2E + recomputation (<= 1.05)': ('5 %', (24, 11)),
}


def draw(rows: Sequence[Row], recipes: list[dict[str, Any]], path: Path) -> None:
    """Draws the trainings, and the exact recipes at the mIoU of end-to-end training.

    Args:
        rows: what `tables.read` returns.
        recipes: the planner's recipes, as `plan.py --json` writes them.
        path: the picture.
    """
    figure = Figure(figsize=(9, 5))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for row in rows:
        known = SHOWN.get((row.method, row.modules))
        if known:
            several = len(row.test) > 1
            sd = stdev(row.test) if several else 0.0
            point(axes, row.peak / GIB, mean(row.test), sd, *known, fillstyle='full' if several else 'none')
    exact = mean(rows[0].test)
    axes.axhline(exact, color=END_TO_END, linewidth=0.8, linestyle=':')
    for recipe in recipes:
        if recipe['recipe'] in RECOMPUTED:
            more, away = RECOMPUTED[recipe['recipe']]
            text = f'recomputed, {more} more FLOPs'
            point(axes, recipe['peak_gib'], exact, 0.0, text, away, 'right', EXACT, 's')
    axes.set(
        xlabel='peak memory of a training step at 512x1024, batch 4: traced, not measured (GiB)',
        ylabel='mIoU on test, % (bars: sd over seeds)',
        xlim=(0, 4.3),
        ylim=(52.2, 56.6),
        title='CamVid, EfficientNet-Lite0, 1200 iterations',
    )
    kinds = {
        'end to end': (END_TO_END, 'o', 'full'),
        'end to end, recomputed: the same gradients': (EXACT, 's', 'full'),
        'InfoPro, two or three seeds': (LOCAL, 'o', 'full'),
        'InfoPro, one seed': (LOCAL, 'o', 'none'),
        'other controls': (OTHERS, 'o', 'full'),
    }
    axes.legend(
        handles=[
            Line2D([], [], linestyle='', color=color, marker=marker, fillstyle=filled, label=name)
            for name, (color, marker, filled) in kinds.items()
        ],
        loc='lower right',
        fontsize=8,
    )
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150, bbox_inches='tight')


def point(
    axes: Any,
    x: float,
    y: float,
    sd: float,
    text: str,
    away: tuple[float, float],
    align: str,
    color: str,
    marker: str = 'o',
    fillstyle: str = 'full',
) -> None:
    """Draws a point with its deviation, and a label at some distance in points."""
    bars = {'capsize': 3, 'elinewidth': 1, 'color': color}
    axes.errorbar([x], [y], [sd] if sd else None, marker=marker, fillstyle=fillstyle, **bars)
    options = {'ha': align, 'va': 'center', 'color': color, 'fontsize': 8}
    if abs(away[1]) > FAR:
        options['arrowprops'] = {'arrowstyle': '-', 'color': color, 'linewidth': 0.5}
    axes.annotate(text, (x, y), away, textcoords='offset points', **options)


if __name__ == '__main__':
    draw(
        read(),
        json.loads((FOLDER / 'exact.json').read_text()),
        FOLDER / 'long/memory.png',
    )
