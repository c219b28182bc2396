"""Draws docs/images/parallel_schedule.png: what three processes do, from the start of a training.

    python docs/benchmarks/parallel/draw_schedule.py

The times are made up; the order is that of the program: a process begins an iteration when it has received
the state and is done with the one before, and sends after its forward pass, before its backward pass.
"""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Patch, Rectangle

OUT = Path(__file__).resolve().parents[2] / 'images' / 'parallel_schedule.png'
FORWARD, BACKWARD = (0.9, 1.1, 1.0), (1.5, 1.9, 1.7)  # of each local module with its head
SENDING = 0.25
ITERATIONS = 6
END = 13.6
NAMES = ('process 2\nmodule 0, loads images', 'process 1\nmodule 1', 'process 0\nmodule 2, with heads')
HUES = ('#4477aa', '#228833', '#aa3377')  # of each module
HEIGHT = 0.62


def schedule() -> list[list[tuple[float, float, float]]]:
    """Of each process and iteration: when the forward pass begins, ends, and the backward pass ends."""
    found: list[list[tuple[float, float, float]]] = []
    for forward, backward in zip(FORWARD, BACKWARD, strict=True):
        row, free = [], 0.0
        for iteration in range(ITERATIONS):
            received = found[-1][iteration][1] + SENDING if found else 0.0
            begin = max(free, received)
            free = begin + forward + backward
            row.append((begin, begin + forward, free))
        found.append(row)
    return found


def draw(path: Path) -> None:
    """Draws the schedule, a row per process."""
    figure = Figure(figsize=(9.2, 2.9))
    FigureCanvasAgg(figure)
    axis = figure.add_axes((0.18, 0.2, 0.81, 0.78))
    rows = schedule()
    for index, row in enumerate(rows):
        y = -index
        for iteration, (begin, middle, end) in enumerate(row):
            for left, right, alpha in ((begin, middle, 0.35), (middle, end, 0.8)):
                box = Rectangle((left, y - HEIGHT / 2), right - left, HEIGHT, color=HUES[index], lw=0)
                box.set_alpha(alpha)
                axis.add_patch(box)
            edge = Rectangle((begin, y - HEIGHT / 2), end - begin, HEIGHT, fill=False, ec='white', lw=1.6)
            axis.add_patch(edge)
            axis.text(
                (begin + end) / 2,
                y,
                f'{iteration + 1}',
                ha='center',
                va='center',
                color='white',
                weight='bold',
            )
            if index + 1 < len(rows):
                target = middle + SENDING
                style = {'arrowstyle': '-|>', 'mutation_scale': 9, 'color': '#333333', 'lw': 1.1}
                start, stop = (middle, y - HEIGHT / 2), (target, y - 1 + HEIGHT / 2)
                axis.add_patch(FancyArrowPatch(start, stop, shrinkA=0, shrinkB=0, **style))
    axis.set_xlim(0, END)
    axis.set_ylim(-2.45, 0.45)
    axis.set_yticks([0, -1, -2], NAMES, fontsize=8.5)
    axis.set_xticks([])
    axis.set_xlabel('time', loc='right', fontsize=8.5)
    for side in ('top', 'right', 'left'):
        axis.spines[side].set_visible(False)
    axis.tick_params(left=False)
    keys = [
        Patch(color='#777777', alpha=0.35, lw=0, label='forward pass'),
        Patch(color='#777777', alpha=0.8, lw=0, label='backward pass and step'),
    ]
    arrow = axis.plot([], [], color='#333333', marker='>', ms=5, lw=1.1, label='state, image, labels')
    figure.legend(
        handles=[*keys, *arrow],
        loc='lower center',
        ncols=3,
        frameon=False,
        fontsize=8.5,
        bbox_to_anchor=(0.55, 0),
    )
    figure.savefig(path, dpi=150)


if __name__ == '__main__':
    draw(OUT)
