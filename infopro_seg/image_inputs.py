"""Converts the images that users pass in Python to the form that pipelines take."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from infopro_seg.errors import DataError

CHANNELS = (1, 3, 4)
MODES = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK', 'YCbCr', 'HSV', 'LAB')  # of 8 bits
TAKEN = (
    'give the path of a file, a PIL image, an array (H, W, 3) uint8 in the order RGB or a gray one (H, W), '
    'a tensor (3, H, W) uint8, or a list of these'
)


def to_bgr(image: Any) -> np.ndarray:
    """An image in the form in which mmcv loads files: (H, W, 3) uint8, BGR, without alpha channel.

    Args:
        image: a PIL image, an array or a tensor.

    Raises:
        DataError: the input is not an image, or its values are not in the range 0 to 255.
    """
    if isinstance(image, Image.Image):
        if image.mode not in MODES:
            raise DataError(
                f'the image has the PIL mode {image.mode}, whose values are not 0 to 255; scale it and '
                'convert it to RGB'
            )
        array = np.asarray(ImageOps.exif_transpose(image).convert('RGB'))  # upright, as files are read
    elif _is_tensor(image):
        image = image.detach().cpu()
        array = (image.float() if image.is_floating_point() else image).numpy()  # NumPy has no bfloat16
        if array.ndim == 3 and array.shape[0] in CHANNELS:
            array = array.transpose(1, 2, 0)
    elif isinstance(image, np.ndarray):
        array = image
    else:
        raise DataError(f'cannot predict a {type(image).__name__}; {TAKEN}')
    return _checked(array, 'a tensor' if _is_tensor(image) else 'an array')


def to_picture(image: np.ndarray) -> np.ndarray:
    """An image as a pipeline loads it, (H, W) or (H, W, C) BGR of any type, as (H, W, 3) RGB uint8."""
    if image.ndim == 2 or image.shape[2] < 3:
        image = image.reshape(*image.shape[:2], -1)[..., :1].repeat(3, axis=2)
    if image.dtype != np.uint8:
        image = (image * (255 / max(float(image.max()), 255))).clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(image[..., 2::-1])


def _is_tensor(image: Any) -> bool:
    """Whether it is a torch tensor; torch is not imported here, because exported networks do not need it."""
    torch = sys.modules.get('torch')
    return torch is not None and isinstance(image, torch.Tensor)


def _checked(array: np.ndarray, kind: str) -> np.ndarray:
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in CHANNELS or not array.size:
        raise DataError(f'the image is {kind} of shape {array.shape}; {TAKEN}')
    if array.dtype != np.uint8:
        raise DataError(
            f'the image is {kind} of {array.dtype} with values from {array.min()} to {array.max()}, but an '
            f'image is (H, W, 3) uint8, from 0 to 255{_remedy(array)}'
        )
    rgb = array.repeat(3, axis=2) if array.shape[2] == 1 else array[..., :3]
    return np.ascontiguousarray(rgb[..., ::-1])


def _remedy(array: np.ndarray) -> str:
    """How to convert an array to uint8, if its range shows it."""
    if array.dtype.kind not in 'biuf':
        return ''
    low, high = array.min().item(), array.max().item()
    if not 0 <= low <= high <= 65535:
        return '; scale it'
    if array.dtype == bool or high <= 1:
        return '; give (image * 255).round().astype(np.uint8)'
    return '; give image.round().astype(np.uint8)' if high <= 255 else '; give (image / 257).astype(np.uint8)'
