"""mmcv's `Resize` of images, for machines without mmcv."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from infopro_seg.errors import CheckpointError

MODES = {
    'nearest': cv2.INTER_NEAREST,
    'bilinear': cv2.INTER_LINEAR,
    'bicubic': cv2.INTER_CUBIC,
    'area': cv2.INTER_AREA,
    'lanczos': cv2.INTER_LANCZOS4,
}
"""mmcv's names of OpenCV's interpolations."""


@dataclass(frozen=True)
class Resizing:
    """The arguments of mmcv's `Resize`.

    Args:
        scale: width and height to resize to; None to use the factors.
        factors: factors of width and height.
        keep_ratio: whether the aspect ratio stays; then `scale` bounds the size, in either orientation.
        interpolation: one of `MODES`.
    """

    scale: tuple[float, float] | None
    factors: tuple[float, float]
    keep_ratio: bool
    interpolation: str


def resizing(step: Mapping[str, Any]) -> Resizing:
    """The resizing that the metadata of an export describes.

    Raises:
        CheckpointError: the resizing is not one of OpenCV's.
    """
    interpolation = step.get('interpolation', 'bilinear')
    if step.get('backend', 'cv2') != 'cv2' or interpolation not in MODES:
        raise CheckpointError(
            f'the network was exported with Resize({", ".join(f"{k}={v!r}" for k, v in step.items())}), but '
            f'exported networks resize with OpenCV: backend cv2, interpolation {", ".join(MODES)}; export it '
            'from such a config, or leave out the resizing with --no-resize'
        )
    scale = step.get('scale')
    return Resizing(
        None if scale is None else _pair(scale),
        _pair(step.get('scale_factor') or 1.0),
        bool(step.get('keep_ratio', False)),
        interpolation,
    )


def resized(image: np.ndarray, step: Resizing) -> np.ndarray:
    """An image (H, W, 3), resized as in mmcv."""
    height, width = image.shape[:2]
    scale = step.scale
    if scale is None:
        scale = (_rounded(width, step.factors[0]), _rounded(height, step.factors[1]))
    if step.keep_ratio:
        factor = min(max(scale) / max(height, width), min(scale) / min(height, width))
        scale = (_rounded(width, factor), _rounded(height, factor))
    size = (int(scale[0]), int(scale[1]))
    found: np.ndarray = cv2.resize(image, size, interpolation=MODES[step.interpolation])
    return found


def _pair(value: Any) -> tuple[float, float]:
    return (value[0], value[1]) if isinstance(value, (list, tuple)) else (value, value)


def _rounded(length: int, factor: float) -> int:
    return int(length * float(factor) + 0.5)
