"""Loading of images and labels that says which file is wrong, and how."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import TRANSFORMS

from infopro_seg.errors import DataError

IGNORED = 255  # the id that mmseg leaves out of losses and metrics


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's `LoadImageFromFile`; a file that cannot be read is named.

    Raises:
        DataError: the image is missing or unreadable.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Loads `img_path` into `img`, (H, W, 3) BGR uint8."""
        try:
            loaded: dict[str, Any] | None = super().transform(results)
        except (OSError, AssertionError, AttributeError, ValueError, cv2.error) as error:
            raise unreadable(results['img_path'], 'image', error) from error
        return loaded


@TRANSFORMS.register_module()
class LoadLabels(LoadAnnotations):
    """mmseg's `LoadAnnotations`, with the label image checked against its image and the classes.

    Args:
        num_classes: how many classes the labels may name, 255 (ignored) aside; None to accept all.
        kwargs: the arguments of `LoadAnnotations`.

    Raises:
        DataError: the label image is missing, unreadable, of another size than the image, or holds ids
            outside the classes.
    """

    def __init__(self, num_classes: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Loads `seg_map_path` into `gt_seg_map`, (H, W) uint8."""
        path = results['seg_map_path']
        try:
            results = super().transform(results)
        except (OSError, AttributeError, ValueError, SyntaxError, cv2.error) as error:
            raise unreadable(path, 'label image', error) from error
        labels = results['gt_seg_map']
        if labels.ndim != 2:
            raise DataError(
                f'{path} has {labels.shape[-1]} channels, but a label image has one id per pixel; for '
                'Cityscapes that is ..._labelTrainIds.png, not ..._color.png'
            )
        if 'ori_shape' in results and labels.shape != tuple(results['ori_shape'][:2]):
            raise DataError(
                f'{path} is {size(labels.shape)} pixels, but its image {results["img_path"]} is '
                f'{size(results["ori_shape"])}; images and labels must have the same size'
            )
        if self.num_classes is not None:
            require_classes(labels, self.num_classes, path)
        return results


def require_classes(labels: np.ndarray, num_classes: int, path: str) -> None:
    """Checks the ids of a label image (H, W) of uint8.

    Raises:
        DataError: some are neither a class nor 255.
    """
    counts = np.bincount(labels.reshape(-1), minlength=256)
    outside = [label for label in np.flatnonzero(counts).tolist() if num_classes <= label < IGNORED]
    if outside:
        raise DataError(
            f'{path} holds the label ids {outside}, but the {num_classes} classes are 0 to '
            f'{num_classes - 1} and {IGNORED} is ignored; convert the labels (for '
            'Cityscapes: python tools/prepare_cityscapes.py) or correct num_classes in the config'
        )


def unreadable(path: str, kind: str, error: Exception) -> DataError:
    """The error for a file that cannot be read, with the reason that the reader gave."""
    reason = 'empty or damaged' if isinstance(error, cv2.error) else ' '.join(str(error).split())
    reason = reason or type(error).__name__
    return DataError(f'cannot read the {kind} {path}: {reason}; replace or remove it')


def size(shape: Any) -> str:
    """(H, W, ...) as people write it: WxH."""
    return f'{shape[1]}x{shape[0]}'
