"""Refuses test images that are padded in a way that predictions do not undo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmcv.transforms import Pad
from mmseg.registry import TRANSFORMS
from torch import Tensor

from infopro_seg.datasets.building import class_of, is_stock
from infopro_seg.errors import ConfigError


def require_unpadded(steps: Sequence[Any], sample: dict[str, Any], where: str) -> None:
    """Checks that a test pipeline has not padded an image.

    mmseg cuts off the padding of the data preprocessor. It knows nothing of that of the pipeline, and
    stretches the prediction of image and padding over the image.

    Args:
        steps: the configs of the pipeline.
        sample: what it has made of an image, or of several variants of it.
        where: the pipeline, for the message.

    Raises:
        ConfigError: an input of the network is larger than the resized image.
    """
    kinds = [class_of(step, TRANSFORMS) for step in _all_steps(steps)]
    if not any(isinstance(kind, type) and issubclass(kind, Pad) for kind in kinds):
        return
    if not all(map(is_stock, kinds)):
        return  # steps of the user's own
    resized = any('Resize' in kind.__name__ for kind in kinds)
    inputs, results = sample['inputs'], sample['data_samples']
    several = isinstance(inputs, list)
    variants = zip(inputs, results, strict=True) if several else [(inputs, results)]
    if any(_is_padded(image, result, resized) for image, result in variants):
        raise ConfigError(
            f'{where} has Pad, and predictions would be stretched over the padding; leave Pad out, and write '
            'model.data_preprocessor.test_cfg=dict(size_divisor=32), whose padding is cut off again'
        )


def _all_steps(steps: Sequence[Any]) -> Iterator[Any]:
    """The steps, and those of the variants that TestTimeAug makes."""
    for step in steps:
        yield step
        variants = step.get('transforms') if isinstance(step, dict) else None
        for choice in variants or ():
            yield from choice if isinstance(choice, list) else [choice]


def _is_padded(image: Tensor, sample: Any, resized: bool) -> bool:
    """Whether an input is larger than its resized image; False if that is not known."""
    meta = sample.metainfo
    scale, size = meta.get('scale_factor', None if resized else (1.0, 1.0)), meta.get('ori_shape')
    if scale is None or size is None or not isinstance(image, Tensor):
        return False
    return any(
        found > whole * by + 1 for found, whole, by in zip(image.shape[-2:], size, scale[::-1], strict=False)
    )
