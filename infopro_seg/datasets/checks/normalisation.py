"""Checks the numbers by which the data preprocessor normalises and pads images."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger

from infopro_seg.errors import ConfigError


def require_padding_and_std(preprocessor: dict[str, Any]) -> None:
    """Checks the values that mmseg uses only in the first iteration.

    Args:
        preprocessor: config of the data preprocessor.

    Raises:
        ConfigError: a padding is no number, or a standard deviation that is used is not above 0.
    """
    for key in ('pad_val', 'seg_pad_val'):
        value = preprocessor.get(key, 0)
        if value is None and key == 'seg_pad_val':
            raise ConfigError(
                'seg_pad_val=None of model.data_preprocessor pads labels with 0, a class; write 255'
            )
        if value is not None and not isinstance(value, Real):  # None pads images with 0
            raise ConfigError(
                f'{key}={value!r} of model.data_preprocessor is a {type(value).__name__}; write a number'
            )
    _, std = _mean_and_std(preprocessor)
    if any(value <= 0 for value in std):
        raise ConfigError(
            f'std={preprocessor["std"]!r} of model.data_preprocessor: images are divided by it; write '
            'numbers above 0'
        )


def warn_of_scale(preprocessor: dict[str, Any], samples: Sequence[dict[str, Any]], where: str) -> None:
    """Warns about a standard deviation of images from 0 to 1, where images go up to 255.

    Args:
        preprocessor: config of the data preprocessor.
        samples: what the pipeline has made of some images.
        where: what names the pipeline.
    """
    mean, std = _mean_and_std(preprocessor)
    stored = all(getattr(sample['inputs'], 'dtype', None) == torch.uint8 for sample in samples)
    if samples and stored and std and all(0 < value < 1 for value in std):
        both = all(0 < value < 1 for value in mean)
        what = f'mean={preprocessor["mean"]!r} and std={preprocessor["std"]!r}'
        MMLogger.get_current_instance().warning(
            f'{what} of model.data_preprocessor: {"they are" if both else "std is"} of images from 0 to 1, '
            f'but {where} gives 0 to 255; multiply {"both" if both else "std"} by 255'
        )


def _mean_and_std(preprocessor: dict[str, Any]) -> tuple[list[float], list[float]]:
    """The values by which mmseg normalises, one or one per channel; none if there is no mean."""
    mean, std = preprocessor.get('mean'), preprocessor.get('std')
    return ([], []) if mean is None or std is None else (np.ravel(mean).tolist(), np.ravel(std).tolist())
