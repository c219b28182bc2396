"""Checks the numbers by which the data preprocessor normalises and pads images."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import torch
from mmengine.logging import MMLogger

from infopro_seg.errors import ConfigError


def require_numbers(preprocessor: dict[str, Any]) -> None:
    """Checks the values that mmseg uses only in the first iteration.

    Args:
        preprocessor: config of the data preprocessor.

    Raises:
        ConfigError: a padding is no number, or a standard deviation is 0.
    """
    for key in ('pad_val', 'seg_pad_val'):
        value = preprocessor.get(key, 0)
        if not isinstance(value, Real):
            raise ConfigError(
                f'{key}={value!r} of model.data_preprocessor is a {type(value).__name__}; write a number'
            )
    std = preprocessor.get('std') or ()
    if 0 in std:
        raise ConfigError(
            f'std={std!r} of model.data_preprocessor: images are divided by it; write numbers above 0'
        )


def warn_of_scale(preprocessor: dict[str, Any], samples: Sequence[dict[str, Any]], where: str) -> None:
    """Warns about a mean and a standard deviation of images from 0 to 1, where images go up to 255.

    Args:
        preprocessor: config of the data preprocessor.
        samples: what the pipeline has made of some images.
        where: what names the pipeline.
    """
    values = [*(preprocessor.get('mean') or ()), *(preprocessor.get('std') or ())]
    stored = all(getattr(sample['inputs'], 'dtype', None) == torch.uint8 for sample in samples)
    if values and samples and stored and all(0 < value < 1 for value in values):
        MMLogger.get_current_instance().warning(
            f'mean={preprocessor["mean"]!r} and std={preprocessor["std"]!r} of model.data_preprocessor are '
            f'those of images from 0 to 1, but {where} gives 0 to 255; multiply both by 255'
        )
