"""How a pipeline maps stored label ids to classes, and which decoders it uses."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmseg.registry import TRANSFORMS
from PIL import Image

from infopro_seg.datasets.checks.inspection import Loading
from infopro_seg.datasets.image_files import FLAGS
from infopro_seg.errors import ConfigError
from infopro_seg.stock_datasets import LoadAnnotations

LABEL_BACKENDS = ('pillow', 'cv2')
STOCK_LABELS = ('LoadAnnotations', 'mmseg.LoadAnnotations', LoadAnnotations)


class UnknownLoadingError(ConfigError):
    """A pipeline loads files in a way that the checks cannot follow."""


def loading_of(dataset: dict[str, Any], built: Any, num_classes: int) -> Loading:
    """How a data set's files are read.

    Args:
        dataset: the config of the data set, without wrappers.
        built: the data set.
        num_classes: number of classes of the data set.

    Raises:
        UnknownLoadingError: the pipeline loads files in a way that the check cannot follow.
        ConfigError: pipeline and data set disagree.
    """
    steps = list(_steps(dataset.get('pipeline') or ()))
    image = _loader(steps, LoadImageFromFile, 'images')
    labels = _loader(steps, LoadAnnotations, 'labels')
    color_type = image.get('color_type', 'color')
    backend = labels.get('imdecode_backend', 'pillow')
    if color_type not in FLAGS:
        raise UnknownLoadingError(
            f'cannot check images of color_type {color_type!r}; choose from {", ".join(FLAGS)}'
        )
    if backend not in LABEL_BACKENDS:
        raise UnknownLoadingError(
            f'cannot check labels read with imdecode_backend {backend!r}; '
            f'choose from {", ".join(LABEL_BACKENDS)}'
        )
    classes = label_classes(built, labels.get('reduce_zero_label'))
    stock = labels.get('type', 'LoadAnnotations') in STOCK_LABELS
    return Loading(classes, num_classes, color_type, backend, labels.get('drawn_on'), stock)


def loads_labels(dataset: dict[str, Any]) -> bool:
    """Whether a data set's pipeline loads label images."""
    return bool(_loader(list(_steps(dataset.get('pipeline') or ())), LoadAnnotations, 'labels'))


def label_classes(built: Any, reduce_zero_label: bool | None = None) -> np.ndarray:
    """The class index for each stored id, found by running mmseg's `LoadAnnotations` on an image of all ids.

    Args:
        built: a data set, with its `label_map` and `reduce_zero_label`.
        reduce_zero_label: the value in its pipeline.

    Returns:
        (256,) uint8.

    Raises:
        ConfigError: pipeline and data set disagree.
    """
    given = bool(getattr(built, 'reduce_zero_label', False))
    if reduce_zero_label is not None and bool(reduce_zero_label) != given:
        raise ConfigError(
            f'reduce_zero_label is {given} in the data set, but {reduce_zero_label} in its pipeline; '
            'give it to the data set only'
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'ids.png'
        Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(path)
        info: dict[str, Any] = {
            'seg_map_path': str(path),
            'label_map': getattr(built, 'label_map', None),
            'reduce_zero_label': given,
            'seg_fields': [],
        }
        classes: np.ndarray = LoadAnnotations().transform(info)['gt_seg_map'].reshape(-1)
    return classes


def _steps(pipeline: Any) -> Iterator[dict[str, Any]]:
    """The transforms of a pipeline, including nested ones."""
    if isinstance(pipeline, dict):
        if 'type' in pipeline:
            yield pipeline
        for key in ('transforms', 'transform'):
            yield from _steps(pipeline.get(key) or ())
    else:
        for item in pipeline:
            yield from _steps(item)


def _loader(steps: list[dict[str, Any]], base: type, what: str) -> dict[str, Any]:
    """The transform that loads images or labels; an empty dict, mmseg's default, if there is none."""
    others = []
    for step in steps:
        kind = TRANSFORMS.get(step['type']) if isinstance(step['type'], str) else step['type']
        if isinstance(kind, type) and issubclass(kind, base):
            return step
        others.append(getattr(kind, '__name__', str(step['type'])))
    strange = [name for name in others if name.startswith('Load') and ('Image' in name) == (what == 'images')]
    if strange:
        raise UnknownLoadingError(
            f'cannot check {what} loaded by {strange[0]}; the check reads what {base.__name__} reads'
        )
    return {}
