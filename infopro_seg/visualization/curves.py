"""The curves of a run: losses of each local module, learning rate and validations over iterations."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from infopro_seg.files import whole_file
from infopro_seg.visualization.training_log import Series, TrainingLog

if TYPE_CHECKING:  # matplotlib takes a second to import, and every training imports this module
    from matplotlib.axes import Axes

PANEL = (5.4, 3.1)  # inches
POINTS = 70  # of a line; each is a mean of the iterations around it
MARKERS = 'os^Dv<>P'
LOSS_RANGE, RATE_RANGE = 12.0, 500.0  # largest over smallest value, from which an axis is logarithmic
TEXT_HEIGHT = 0.075  # of a line of text, in heights of a panel
GRAY = '0.35'


def draw_curves(log: TrainingLog, path: Path) -> None:
    """Draws what there is, a panel each: losses, reconstruction losses, validations, learning rate.

    Args:
        log: what the run has logged.
        path: the PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    panels: list[Callable[[Axes], None]] = []
    styles = _styles({*log.tasks, *log.reconstructions})
    if log.tasks:
        several = len(styles) > 1
        title = 'Classification loss of each local module' if several else 'Loss'
        panels.append(lambda axes: _losses(axes, log.tasks, styles, title))
    if log.reconstructions:
        title_recon = 'Reconstruction loss of each local module'
        panels.append(lambda axes: _losses(axes, log.reconstructions, styles, title_recon))
    if log.validations is not None:
        panels.append(lambda axes: _validations(axes, log))
    if log.rate is not None:
        panels.append(lambda axes: _rate(axes, log))
    if not panels:
        return
    columns = 2 if len(panels) in (2, 4) else len(panels)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * rows), layout='constrained')
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.1)  # type: ignore[union-attr, call-arg]
    for axes, draw in zip(figure.subplots(rows, columns, squeeze=False).flat, panels, strict=True):
        draw(axes)
        axes.set_xlim(0, max(log.iterations, 1))
        axes.set_xlabel('iteration', fontsize=9, color=GRAY)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.xaxis.set_major_formatter(lambda value, _: f'{value:,.0f}')
        axes.tick_params(labelsize=8.5, color='0.7', labelcolor=GRAY)
        axes.spines[['top', 'right']].set_visible(False)
        axes.spines[['left', 'bottom']].set_color('0.7')
        axes.grid(linewidth=0.5, color='0.91')
        axes.set_axisbelow(True)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=130, format='png')


def _styles(names: set[str]) -> dict[str, dict[str, Any]]:
    """Of each local module, a shade from dark to light and a mark, the same in every panel."""
    from matplotlib import colormaps

    ordered = sorted(names, key=lambda name: (len(name.partition(',')[0]), name))  # module 2 before module 10
    shades = colormaps['viridis'](np.linspace(0.05, 0.8, len(ordered)))
    return {
        name: {
            'color': tuple(shade),
            'marker': MARKERS[index % len(MARKERS)],
            'markeredgecolor': 'white',
            'markeredgewidth': 0.5,
        }
        for index, (name, shade) in enumerate(zip(ordered, shades, strict=True))
    }


def _losses(
    axes: Axes, modules: Mapping[str, Series], styles: Mapping[str, dict[str, Any]], title: str
) -> None:
    """A line for each module, named where it ends."""
    ends: list[tuple[float, str, dict[str, Any]]] = []
    shown = []
    for index, (name, series) in enumerate(modules.items()):
        mean = smooth(series)
        style = styles[name]
        axes.plot(series.iterations, series.values, color=style['color'], linewidth=0.5, alpha=0.12)
        marked = (index * 3 % 9, max(1, len(mean.values) // 8))
        axes.plot(mean.iterations, mean.values, linewidth=1.7, markersize=4.5, markevery=marked, **style)
        shown.append(mean.values[np.isfinite(mean.values)])
        if shown[-1].size and len(modules) > 1:
            ends.append((float(shown[-1][-1]), name, style))
    _choose_scale(axes, np.concatenate(shown), LOSS_RANGE)
    _name_ends(axes, ends)
    axes.set_title(title, fontsize=10.5, loc='left')
    axes.set_ylabel('loss, weighted', fontsize=9, color=GRAY)


def _name_ends(axes: Axes, ends: list[tuple[float, str, dict[str, Any]]]) -> None:
    """Writes names and marks beside the ends of lines, moved apart where they would cover each other."""
    scale = axes.transScale.transform
    low, high = (float(scale((1, limit))[1]) for limit in axes.get_ylim())
    ends = sorted(ends, key=lambda end: end[0])
    heights = [(float(scale((1, value))[1]) - low) / (high - low) for value, _, _ in ends]
    for place, (_, name, style) in zip(spread(heights, TEXT_HEIGHT), ends, strict=True):
        axes.plot(1.025, place, transform=axes.transAxes, clip_on=False, markersize=4.5, **style)
        axes.text(
            1.045, place, name, color=style['color'], fontsize=8.5, va='center', transform=axes.transAxes
        )


def _validations(axes: Axes, log: TrainingLog) -> None:
    """A point for each validation; the best and the last one with their numbers."""
    from matplotlib import colormaps

    series = log.validations
    assert series is not None
    color = colormaps['viridis'](0.25)
    line: dict[str, Any] = {'linewidth': 1.7, 'marker': 'o', 'markersize': 4.5, 'clip_on': False, 'zorder': 3}
    axes.plot(series.iterations, series.values, color=color, **line)
    axes.set_title(f'{log.metric} of the validations', fontsize=10.5, loc='left')
    axes.set_ylabel(f'{log.metric}, %', fontsize=9, color=GRAY)
    known = np.flatnonzero(np.isfinite(series.values))
    if not known.size:
        return
    best = known[int(np.argmax(series.values[known]))]
    low, high = series.values[known].min(), series.values[known].max()
    room = max(high - low, 5.0)
    axes.set_ylim(max(0.0, low - 0.15 * room), high + 0.22 * room)
    for index in dict.fromkeys((best, known[-1])):
        step, value = series.iterations[index], series.values[index]
        axes.annotate(
            f'{value:.2f}',
            (step, value),
            xytext=(0, 7),
            textcoords='offset points',
            ha='right' if step > 0.9 * log.iterations else 'center',
            fontsize=9,
            fontweight='bold' if index == best else 'normal',
        )


def _rate(axes: Axes, log: TrainingLog) -> None:
    assert log.rate is not None
    axes.plot(log.rate.iterations, log.rate.values, color=GRAY, linewidth=1.7)
    axes.set_title('Learning rate', fontsize=10.5, loc='left')
    axes.set_ylabel('learning rate', fontsize=9, color=GRAY)
    _choose_scale(axes, log.rate.values, RATE_RANGE)
    if axes.get_yscale() == 'linear':
        axes.ticklabel_format(axis='y', style='sci', scilimits=(-3, 3))


def _choose_scale(axes: Axes, values: np.ndarray, span: float) -> None:
    """A logarithmic axis where all values are positive and differ by more than a factor.

    A linear one begins with 0 where that costs little of its height.
    """
    from matplotlib.ticker import LogLocator, NullLocator

    values = values[np.isfinite(values)]
    if not values.size:
        return
    low, high = float(values.min()), float(values.max())
    if low > 0 and high / low > span:
        axes.set_yscale('log')
        axes.set_ylim(low / 1.3, high * 1.3)
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: f'{value:g}')
        return
    bottom = 0.0 if 0 <= low < 0.4 * high else low - 0.1 * max(high - low, abs(high) / 20)
    axes.set_ylim(bottom, max(high + 0.08 * (high - bottom), bottom + 1e-12))


def smooth(series: Series, points: int = POINTS) -> Series:
    """Means over as many stretches of a series, at their middles; numbers that are none are left out."""
    values = np.where(np.isfinite(series.values), series.values, np.nan)
    parts = [part for part in np.array_split(np.arange(len(values)), points) if part.size]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # of a stretch without any number
        means = [np.nanmean(values[part]) for part in parts]
    return Series(np.array([series.iterations[part].mean() for part in parts]), np.array(means))


def spread(places: list[float], distance: float) -> list[float]:
    """Places from 0 to 1 in ascending order, moved as little as needed to be a distance apart."""
    groups: list[tuple[float, int]] = []  # their middle and how many they are
    for place in places:
        groups.append((place, 1))
        while True:
            middle, count = groups[-1]
            half = (count - 1) / 2 * distance
            groups[-1] = min(max(middle, half), max(1 - half, half)), count
            if len(groups) < 2:
                break
            (a, m), (b, n) = groups[-2:]
            if b - a >= distance * (m + n) / 2 - 1e-9:
                break
            groups[-2:] = [((a * m + b * n) / (m + n), m + n)]
    return [
        middle + (index - (count - 1) / 2) * distance for middle, count in groups for index in range(count)
    ]
