"""From normalised network inputs back to images."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor


def to_rgb(inputs: Tensor, data_preprocessor: Any) -> Tensor:
    """Undoes the normalisation: RGB in [0, 1], for any mean, std and channel order of the config.

    Args:
        inputs: preprocessed images, (N, C, H, W).
        data_preprocessor: the preprocessor that made them. mmcv loads BGR, so the inputs are RGB if and
            only if it converts them.

    Returns:
        Images of the same shape, with the channels in RGB order if there are three.
    """
    image = inputs
    if getattr(data_preprocessor, '_enable_normalize', False):
        image = image * data_preprocessor.std + data_preprocessor.mean
    image = (image / 255).clamp(0, 1)
    if image.shape[1] == 3 and not converts_to_rgb(data_preprocessor):
        image = image.flip(1)
    return image


def converts_to_rgb(data_preprocessor: Any) -> bool:
    """Whether the preprocessor turns the BGR images that mmcv loads into RGB."""
    of_mmpretrain = getattr(data_preprocessor, 'to_rgb', False)
    return bool(getattr(data_preprocessor, '_channel_conversion', of_mmpretrain))


def to_uint8(image: Tensor) -> np.ndarray:
    """An RGB image (3, H, W) in [0, 1] as an array (H, W, 3) of uint8."""
    array: np.ndarray = (image * 255).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    return array
