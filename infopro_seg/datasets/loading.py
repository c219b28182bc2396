"""Loads images and labels; errors say which file is wrong, and how."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from mmseg.registry import TRANSFORMS

from infopro_seg.datasets.image_files import (
    FLAGS,
    TO_LABELS,
    UnreadableError,
    decode_image,
    decode_labels,
    unreadable,
)
from infopro_seg.datasets.label_ids import IGNORED, named, stored_ids
from infopro_seg.datasets.orientation import (
    DRAWN_ON,
    MisfitError,
    labels_are_turned,
    turn,
    turned_by,
)
from infopro_seg.errors import ConfigError, DataError
from infopro_seg.stock_datasets import LoadAnnotations

ORIENTATION = 'exif_orientation'  # key in a sample: the rotation of its image
PACKAGES = {
    'turbojpeg': ('turbojpeg', 'PyTurboJPEG'),
    'tifffile': ('tifffile', 'tifffile'),
}  # of mmcv's backends
LABEL_BACKENDS = ('pillow', 'cv2')


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's `LoadImageFromFile`, with errors that name the unreadable file.

    Photographs are rotated as their EXIF orientation says, unless the `color_type` forbids it.

    Raises:
        ConfigError: mmcv has no such `color_type`, or a package is missing for the `imdecode_backend`.
        DataError: the image is missing or unreadable.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.color_type not in FLAGS and not isinstance(self.color_type, int):  # OpenCV's own flags
            raise ConfigError(f'LoadImage has color_type={self.color_type!r}; choose from {", ".join(FLAGS)}')
        package = PACKAGES.get(self.imdecode_backend)
        if package is not None and find_spec(package[0]) is None:
            raise ConfigError(
                f'LoadImage has imdecode_backend={self.imdecode_backend!r}, which needs the package '
                f'{package[1]}: pip install {package[1]}; or leave imdecode_backend out'
            )

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Loads `img_path` into `img`, (H, W, 3) BGR uint8."""
        path = results['img_path']
        try:
            if self.imdecode_backend != 'cv2' or self.file_client_args or self.color_type not in FLAGS:
                loaded: dict[str, Any] | None = super().transform(results)
                return loaded
            image, header = decode_image(self._content(path), self.color_type)
        except (OSError, AssertionError, AttributeError, ValueError, cv2.error) as error:
            if self.ignore_empty:
                return None
            raise unreadable(path, 'image', error) from error
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        if (orientation := turned_by(header, self.color_type)) > 1:
            results[ORIENTATION] = orientation
        return results

    def _content(self, path: str) -> bytes:
        content: bytes = fileio.get(path, backend_args=self.backend_args)
        if not content:
            raise UnreadableError('the file is empty')
        return content


@TRANSFORMS.register_module()
class LoadLabels(LoadAnnotations):
    """mmseg's `LoadAnnotations`, with the label image checked against its image and the classes.

    Ids are read at any bit depth and never wrapped to 8 bits.

    Args:
        num_classes: ids must be below it, or 255 (ignored); None accepts all ids up to 255.
        drawn_on: the form of photographs with an EXIF orientation on which labels were drawn: `upright`, as
            viewers show them, or `stored`; then labels are rotated too. By default their size decides.
        kwargs: the arguments of `LoadAnnotations`.

    Raises:
        ConfigError: `drawn_on` is not one of these or None.
        DataError: the label image is missing or unreadable, differs in size from the image, or contains ids
            outside the classes.
    """

    def __init__(self, num_classes: int | None = None, drawn_on: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reduce_zero_label: bool | None
        if drawn_on not in DRAWN_ON:
            raise ConfigError(f"LoadLabels has drawn_on={drawn_on!r}; choose from 'upright' and 'stored'")
        self.num_classes = num_classes
        self.drawn_on = drawn_on

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Loads `seg_map_path` into `gt_seg_map`, (H, W) uint8."""
        results = super().transform(results)
        if self.num_classes is not None:
            require_classes(results['gt_seg_map'], self.num_classes, results['seg_map_path'])
        return results

    def _load_seg_map(self, results: dict[str, Any]) -> None:
        """Loads as mmseg does, but does not cast ids to 8 bits or squeeze away a single row of pixels."""
        path = results['seg_map_path']
        labels = self._fitting(self._stored(path), results)
        given, reduces = results['reduce_zero_label'], self.reduce_zero_label
        if reduces is not None and reduces != given:
            raise ConfigError(
                f'reduce_zero_label is {given} in the data set, but {reduces} in its pipeline; give it to '
                'the data set only'
            )
        table = class_table(bool(given), results.get('label_map'))
        results['gt_seg_map'] = labels if table is None else table[labels]
        results['seg_fields'].append('gt_seg_map')

    def _stored(self, path: str) -> np.ndarray:
        """The label image as it is stored, (H, W) uint8."""
        try:
            if self.imdecode_backend not in LABEL_BACKENDS:
                raise UnreadableError(
                    f'imdecode_backend {self.imdecode_backend!r} is none of {", ".join(LABEL_BACKENDS)}',
                    'correct it in the pipeline',
                )
            content = fileio.get(path, backend_args=self.backend_args)
            if not content:
                raise UnreadableError('the file is empty')
            labels, header = decode_labels(content, self.imdecode_backend)
        except (OSError, AttributeError, ValueError, SyntaxError, cv2.error) as error:
            raise unreadable(path, 'label image', error) from error
        if labels.ndim != 2:
            raise DataError(
                f'{path} has {labels.shape[-1]} channels, but a label image has one id per pixel; for '
                'Cityscapes that is ..._labelTrainIds.png, not ..._color.png'
            )
        if labels.dtype not in (np.uint8, np.bool_):
            self._require_bytes(labels, path, header.mode)
        return labels.astype(np.uint8, copy=False)

    def _require_bytes(self, labels: np.ndarray, path: str, mode: str) -> None:
        """Checks the ids of a label image with more than 8 bits, before it is converted to 8."""
        found = stored_ids(labels)
        if found is None:
            raise DataError(f'{path} holds fractions ({mode}), not class indices; {TO_LABELS}')
        outside = [label for label in found if not 0 <= label <= IGNORED]
        if outside:
            count = 255 if self.num_classes is None else self.num_classes
            raise DataError(outside_message(path, outside, count))

    def _fitting(self, labels: np.ndarray, results: dict[str, Any]) -> np.ndarray:
        """The labels, rotated with their image if they were drawn on the stored form."""
        if 'ori_shape' not in results:
            return labels
        height, width = results['ori_shape'][:2]
        orientation = results.get(ORIENTATION, 1)
        try:
            turned = labels_are_turned(
                labels.shape[::-1], (width, height), orientation, results.get('img_path'), self.drawn_on
            )
        except MisfitError as error:
            verb = '' if error.what.startswith('fits') else 'is '
            raise DataError(f'{results["seg_map_path"]} {verb}{error}') from error
        return turn(labels, orientation) if turned else labels


def class_table(reduce_zero_label: bool, label_map: dict[int, int] | None) -> np.ndarray | None:
    """The class index for each stored id in mmseg, (256,) uint8; None if all stay the same."""
    if not reduce_zero_label and label_map is None:
        return None
    table = np.arange(256)
    if reduce_zero_label:
        table = np.where((table == 0) | (table == IGNORED), IGNORED, table - 1)
    shifted = table.copy()
    for old, new in (label_map or {}).items():
        table[shifted == old] = new
    return table.astype(np.uint8)


def require_classes(labels: np.ndarray, num_classes: int, path: str) -> None:
    """Checks the ids of a label image (H, W) of uint8.

    Raises:
        DataError: an id is neither a class nor 255.
    """
    found = stored_ids(labels) or {}
    outside = [label for label in found if num_classes <= label < IGNORED]
    if outside:
        raise DataError(outside_message(path, outside, num_classes))


def outside_message(path: str, outside: list[int], num_classes: int) -> str:
    """The message for a label image with ids outside the classes."""
    return (
        f'{path} holds the label ids {named(outside)}, but the {num_classes} classes are 0 to '
        f'{num_classes - 1} and {IGNORED} is ignored; convert the labels (for '
        'Cityscapes: python tools/prepare_cityscapes.py) or correct num_classes in the config'
    )
