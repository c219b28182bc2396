"""The curves of a run: one colour for each local module, in every panel."""

import numpy as np
from matplotlib.axes import Axes

from infopro_seg.visualization.curves import draw_curves
from infopro_seg.visualization.training_log import Series, TrainingLog


def test_a_module_has_one_colour_and_one_mark_in_both_panels_of_losses(tmp_path, monkeypatch):
    def series(value):
        return Series(np.arange(1, 4), np.full(3, value))

    named = []
    text, plot = Axes.text, Axes.plot
    marks = []
    monkeypatch.setattr(Axes, 'text', lambda *a, **k: named.append((a[3], k['color'])) or text(*a, **k))
    monkeypatch.setattr(Axes, 'plot', lambda *a, **k: marks.append(k.get('marker')) or plot(*a, **k))
    names = [f'module {index}' for index in range(11)]
    tasks = {name: series(index) for index, name in enumerate([*names, 'module 11, heads'])}
    reconstructions = {name: series(index) for index, name in enumerate(names)}
    draw_curves(TrainingLog(3, tasks, reconstructions), tmp_path / 'curves.png')
    colours = {}
    for name, colour in named:
        colours.setdefault(name, set()).add(colour)
    assert set(colours) == set(tasks)
    assert [len(found) for found in colours.values()] == [1] * 12
    lightness = [sum(next(iter(colours[name]))[:3]) for name in tasks]
    assert lightness == sorted(lightness)  # dark to light from the first module to the last
    lines = [mark for mark in marks if mark is not None]
    assert lines[:11] == lines[24:35]  # of the 12 lines and their names, then of the 11
