"""The colours of classes, however a config writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import to_rgb


def colours(palette: Sequence[Any] | None, count: int) -> np.ndarray:
    """A colour for each class, (count, 3) RGB uint8.

    Args:
        palette: (red, green, blue) from 0 to 255 for each class, or its name or hexadecimal code. Missing or
            invalid colours are replaced by our own, because a picture must not stop a run.
        count: number of classes.
    """
    given = list(palette) if palette is not None else []
    own = matplotlib.colormaps['tab20' if count <= 20 else 'nipy_spectral'].resampled(max(count, 1))
    chosen = []
    for index in range(count):
        colour = _colour(given[index]) if index < len(given) else None
        chosen.append(colour or tuple(round(255 * part) for part in own(index)[:3]))
    return np.array(chosen, dtype=np.uint8).reshape(count, 3)


def _colour(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, str):
        try:
            return tuple(round(255 * part) for part in to_rgb(value))
        except ValueError:
            return None
    try:
        colour = tuple(int(part) for part in value)
    except (TypeError, ValueError):
        return None
    return colour if len(colour) == 3 and all(0 <= part <= 255 for part in colour) else None
