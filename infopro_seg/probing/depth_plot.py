"""Draws the scores of probes against depth, for several checkpoints in one figure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, takewhile
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from infopro_seg.probing.results import ProbeResults

SIZE = (10.5, 3.7)  # inches
PANEL_WIDTH = 2.8  # inches, of the axes of one panel
LETTER = 0.062  # inches, mean width of a letter


def depth_figure(results: ProbeResults) -> Figure:
    """Draws reconstruction error, I(h, x), and quality of both classifiers, I(h, y), against depth.

    The last block of each local module has a larger, hollow mark. A dashed line shows the best guess that
    does not depend on the image (paper, figures 2 and 3).

    Args:
        results: the results to draw.
    """
    figure = Figure(figsize=SIZE, layout='constrained')
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(results.task.panels))
    ignorance = results.ignorance_row
    for axes, (title, unit, read) in zip(panels, results.task.panels, strict=True):
        for index, subject in enumerate(results.subjects):
            depths = [results.names.index(name) for name in subject.blocks]
            values = [read(row) for row in subject.blocks.values()]
            axes.plot(depths, values, color=f'C{index}', marker='o', markersize=3, linewidth=1.6)
            cuts = [i for i, name in enumerate(subject.blocks) if name in subject.cuts]
            axes.plot(
                [depths[i] for i in cuts],
                [values[i] for i in cuts],
                **_cut_mark(f'C{index}'),
            )
        axes.axhline(read(ignorance), color='0.45', linewidth=1, linestyle='--', zorder=1)
        _stages(axes, results.names)
        axes.set_title(title, fontsize=10)
        axes.set_ylabel(unit, fontsize=9)
        axes.set_ylim(0, None)
        axes.tick_params(axis='y', labelsize=8.5)
        axes.spines[['top', 'right']].set_visible(False)
        axes.grid(axis='y', linewidth=0.4, color='0.85')
        axes.set_axisbelow(True)
    top = max(axes.get_ylim()[1] for axes in panels[1:])
    for axes in panels[1:]:
        axes.set_ylim(0, top)  # the same unit, so the same scale
    figure.legend(handles=_legend(results), loc='outside lower center', ncols=6, fontsize=9, frameon=False)
    return figure


def stage_of(name: str) -> str:
    """The stage of a block: layer3 for `layer3.12`, stages.0 for `stages.0.blocks.1`."""
    parts = name.split('.')
    ends = next((i for i, part in enumerate(parts, 1) if any(c.isdecimal() for c in part)), len(parts))
    return '.'.join(parts[:ends])


def shared_prefix(names: Sequence[str]) -> str:
    """The part without a number that all names begin with: `timm_model.` of a wrapped network's blocks.

    It is empty if a name would begin with a number without it, as those of `stages.0.blocks.1`.
    """
    parents = [name.split('.')[:-1] for name in names]
    shared = takewhile(lambda parts: len({*parts}) == 1, zip(*parents, strict=False))
    prefix = ''.join(f'{parts[0]}.' for parts in shared)
    rest = [name.removeprefix(prefix) for name in names]
    numbered = any(char.isdecimal() for char in prefix) or any(name[0].isdecimal() for name in rest)
    return '' if numbered else prefix


def _stages(axes: Axes, names: Sequence[str]) -> None:
    """Writes the names of the stages below the axis, and shades every other one."""
    spans: list[tuple[str, int, int]] = []
    shared = shared_prefix(names)
    for stage, blocks in groupby(names, lambda name: stage_of(name.removeprefix(shared))):
        start = spans[-1][2] if spans else 0
        spans.append((stage, start, start + len(list(blocks))))
    for index, (_, start, end) in enumerate(spans):
        if index % 2:
            axes.axvspan(start - 0.5, end - 0.5, color='0.955', zorder=0)
    middles = [(start + end - 1) / 2 for _, start, end in spans]
    inches = PANEL_WIDTH / len(names)
    widths = [LETTER * len(stage) + 0.05 for stage, _, _ in spans]
    crowded = any(
        (right - left) * inches < (a + b) / 2
        for left, right, a, b in zip(middles, middles[1:], widths, widths[1:], strict=False)
    )
    axes.set_xticks(middles, [stage for stage, _, _ in spans], fontsize=8.5, rotation=90 if crowded else 0)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.tick_params(axis='x', length=0)


def _cut_mark(color: str) -> dict[str, Any]:
    return {
        'linestyle': 'none',
        'marker': 'o',
        'markersize': 7,
        'markerfacecolor': 'white',
        'markeredgecolor': color,
        'markeredgewidth': 1.6,
    }


def _legend(results: ProbeResults) -> list[Line2D]:
    lines = [
        Line2D([], [], color=f'C{index}', marker='o', markersize=3, linewidth=1.6, label=subject.label)
        for index, subject in enumerate(results.subjects)
    ]
    if any(subject.cuts for subject in results.subjects):
        lines.append(Line2D([], [], label='end of a local module', **_cut_mark('0.3')))
    lines.append(Line2D([], [], color='0.45', linewidth=1, linestyle='--', label='knowing nothing'))
    return lines
