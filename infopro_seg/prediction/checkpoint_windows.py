"""Runs the network of a checkpoint window by window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmcv.transforms import CenterCrop, LoadImageFromFile, Pad, RandomFlip, RandomResize, Resize, TestTimeAug
from mmengine.config import Config
from torch import Tensor, nn

from infopro_seg.config_edits import height_and_width
from infopro_seg.errors import ConfigError
from infopro_seg.evaluation.pipelines import is_step
from infopro_seg.inference import Predictor
from infopro_seg.models.bounded_prediction import BoundedPrediction
from infopro_seg.prediction.windows import Size, two_thirds

RESHAPING = (Resize, RandomResize, CenterCrop, Pad, RandomFlip, TestTimeAug)
"""Pipeline steps after which a window would differ from the same part of the whole image."""


class CheckpointWindows:
    """See :class:`WindowNetwork`.

    Args:
        predictor: the network, with its test pipeline.
        config: its config. In mode `slide`, windows are those of `model.test_cfg`; otherwise they have the
            `crop_size` of the training and overlap by a third.
        batch: number of windows computed at once.

    Raises:
        ConfigError: the test pipeline changes the size of images, or the config gives no size of windows.
    """

    def __init__(self, predictor: Predictor, config: Config, batch: int = 1) -> None:
        for step in predictor.steps:
            if any(is_step(step, base) for base in RESHAPING):
                raise ConfigError(_reshapes(step))
        self.predictor, self.batch = predictor, batch
        self.model: Any = predictor.model
        self.window, self.stride = window_settings(config)
        self.align_corners: bool = self.model.align_corners
        self.channels: int = self.model.out_channels
        heads = self.model.decode_head
        self.threshold = getattr(heads[-1] if isinstance(heads, nn.ModuleList) else heads, 'threshold', 0.5)

    def padded(self, size: Size) -> Size:
        """See :class:`WindowNetwork`: as the data preprocessor pads images in testing."""
        padding = getattr(self.model.data_preprocessor, 'test_cfg', None) or {}
        height, width = padding.get('size') or (0, 0)
        step = padding.get('size_divisor') or 1
        return _up(max(size[0], height), step), _up(max(size[1], width), step)

    @torch.no_grad()
    def logits(self, pixels: Sequence[np.ndarray], size: Size) -> Sequence[Tensor]:
        """See :class:`WindowNetwork`."""
        preprocessor = self.model.data_preprocessor
        value = getattr(preprocessor, 'pad_val', 0)
        with self.predictor.precision():
            with _without_padding(preprocessor):
                images = [preprocessor(self._sample(one), False)['inputs'] for one in pixels]
            inputs = torch.cat([_pad(image, size, value) for image in images])
            metas: list[dict[str, Any]] = [dict.fromkeys(('img_shape', 'ori_shape', 'pad_shape'), size)]
            metas *= len(pixels)
            if isinstance(self.model, BoundedPrediction):
                return list(self.model.small_logits(inputs, metas))
            return list(self.model.encode_decode(inputs, metas))

    def _sample(self, pixels: np.ndarray) -> dict[str, Any]:
        """Runs the test pipeline on a window, as a batch of one."""
        size = pixels.shape[:2]
        sample = self.predictor.prepare(pixels)
        if sample['inputs'].shape[1:] != size:
            found = 'x'.join(map(str, sample['inputs'].shape[1:]))
            raise ConfigError(
                f'the test pipeline turns a window of {size[0]}x{size[1]} into {found}, but windows of a '
                'raster must keep their size; leave out the step that changes it'
            )
        return {'inputs': [sample['inputs']], 'data_samples': [sample['data_samples']]}


def window_settings(config: Config) -> tuple[Size, Size]:
    """The size and stride of windows for images that are not read as a whole.

    Raises:
        ConfigError: the config gives no size of windows.
    """
    test_cfg = config.model.get('test_cfg') or {}
    if test_cfg.get('mode') == 'slide':
        return tuple(test_cfg['crop_size']), tuple(test_cfg['stride'])
    crop = config.get('crop_size') or (config.model.get('data_preprocessor') or {}).get('size')
    if not crop:
        raise ConfigError(
            'this TIFF is predicted in windows, but the config gives no size for them: '
            '--cfg-options model.test_cfg.mode=slide "model.test_cfg.crop_size=(512,512)" '
            '"model.test_cfg.stride=(341,341)"'
        )
    window = height_and_width(crop)
    return window, two_thirds(window)


def color_type(steps: Sequence[Any]) -> str:
    """How a test pipeline reads the bands of images."""
    loaders = [step for step in steps if is_step(step, LoadImageFromFile)]
    return str(loaders[0].get('color_type', 'color')) if loaders else 'color'


def _pad(image: Tensor, size: Size, value: float) -> Tensor:
    """A batch of images (N, C, h, w) padded at the right and at the bottom to a size."""
    height, width = image.shape[2:]
    padding = (0, size[1] - width, 0, size[0] - height)
    return torch.nn.functional.pad(image, padding, value=value) if any(padding) else image


def _reshapes(step: Mapping[str, Any]) -> str:
    kind = step['type'] if isinstance(step['type'], str) else step['type'].__name__
    given = ', '.join(f'{key}={value!r}' for key, value in step.items() if key != 'type')
    return (
        'large and georeferenced TIFFs are predicted at their own resolution, but the test pipeline contains '
        f'{kind}({given}); leave out its resizing with --no-resize, or remove the step from the config'
    )


@contextmanager
def _without_padding(preprocessor: Any) -> Iterator[None]:
    """Inside the block, mmseg's data preprocessor does not pad images."""
    kept = getattr(preprocessor, 'test_cfg', None)
    if kept is None:
        yield
        return
    preprocessor.test_cfg = None
    try:
        yield
    finally:
        preprocessor.test_cfg = kept


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
