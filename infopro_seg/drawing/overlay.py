"""Label maps as colours, alone or over their images."""

from __future__ import annotations

import numpy as np

IGNORED_COLOR = (0, 0, 0)


def colorize(labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Class indices (H, W) as colours (H, W, 3); ids outside the palette, such as 255, are black."""
    colors = np.tile(np.array(IGNORED_COLOR, dtype=np.uint8), (max(256, len(palette)), 1))
    colors[: len(palette)] = palette
    colored: np.ndarray = colors[labels]
    return colored


def overlay(image: np.ndarray, labels: np.ndarray, palette: np.ndarray, opacity: float = 0.55) -> np.ndarray:
    """Blends the classes' colours over an image.

    Args:
        image: (H, W, 3) RGB uint8.
        labels: class indices, (H, W).
        palette: RGB of each class, (classes, 3) uint8.
        opacity: of the colours, 0 to 1.

    Returns:
        (H, W, 3) RGB uint8.
    """
    blended = image * (1 - opacity) + colorize(labels, palette) * opacity
    result: np.ndarray = blended.round().astype(np.uint8)
    return result
