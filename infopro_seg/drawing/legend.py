"""The legend of a picture of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # slow to import, and not needed until something is drawn
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

ENTRIES = 40  # more would not be readable


def draw_legend(figure: Figure, entries: Sequence[tuple[str, np.ndarray]]) -> float:
    """Puts the names of classes and their colours, RGB uint8, at the bottom of a figure.

    Returns:
        The height that this takes, in inches.
    """
    from matplotlib.patches import Patch

    shown = entries[:ENTRIES]
    handles: list[Artist] = [Patch(color=tuple((color / 255).tolist()), label=name) for name, color in shown]
    if len(entries) > len(shown):
        handles.append(Patch(alpha=0, label=f'and {len(entries) - len(shown)} more'))
    widest = max((len(name) for name, _ in shown), default=0)
    columns = int(figure.get_figwidth() / (0.4 + 0.062 * widest))
    columns = max(1, min(10, len(handles), columns))
    legend = figure.legend(
        handles=handles,
        loc='lower center',
        ncols=columns,
        fontsize=7,
        frameon=False,
        handlelength=1,
        handleheight=0.9,
        columnspacing=1.1,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a $ in a name begins no formula
    return 0.1 + 0.17 * -(-len(handles) // columns)
