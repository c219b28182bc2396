"""How a pipeline maps stored label ids to classes, and which decoders it uses."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmseg.datasets.transforms import Albu
from mmseg.registry import TRANSFORMS
from PIL import Image

from infopro_seg.datasets.building import class_of, is_stock
from infopro_seg.datasets.checks.inspection import Loading
from infopro_seg.datasets.image_files import FLAGS
from infopro_seg.datasets.label_ids import IGNORED
from infopro_seg.errors import ConfigError
from infopro_seg.stock_datasets import LoadAnnotations

LABEL_BACKENDS = ('pillow', 'cv2')
KNOWN = ('LoadImageFromFile', 'LoadImage', 'LoadAnnotations', 'LoadLabels', 'BaseTransform')
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
    if image.get('imdecode_backend', 'cv2') not in (None, 'cv2'):
        raise UnknownLoadingError(
            f'cannot check images read with {image["imdecode_backend"]}; the check uses cv2'
        )
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
    changed = any(not is_stock(class_of(step, TRANSFORMS)) for step in steps)
    if changed and labels.get('num_classes') is None:  # of LoadLabels, which then checks the stored ids
        num_classes = IGNORED + 1
    return Loading(classes, num_classes, color_type, backend, labels.get('drawn_on'), stock, changed)


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


def _reads_alike(kind: type) -> bool:
    """Whether a loader reads files as the known ones do; mmseg has others that derive from these."""
    found = [getattr(kind, name, None) for name in ('transform', '_load_seg_map', '__call__')]
    return all(
        method is None or (is_stock(method) and method.__qualname__.partition('.')[0] in KNOWN)
        for method in found
    )


def _steps(pipeline: Any) -> Iterator[Any]:
    """The transforms of a pipeline, including nested ones; any callable may be one."""
    if isinstance(pipeline, dict):
        if 'type' in pipeline:
            yield pipeline
        inner = (
            ('transforms', 'transform') if pipeline.get('type') not in ('Albu', 'mmseg.Albu', Albu) else ()
        )
        for key in inner:
            yield from _steps(pipeline.get(key) or ())
    elif isinstance(pipeline, (list, tuple)):
        for item in pipeline:
            yield from _steps(item)
    else:
        yield pipeline


def _loader(steps: list[Any], base: type, what: str) -> dict[str, Any]:
    """The transform that loads images or labels; an empty dict, mmseg's default, if there is none."""
    others = []
    for step in steps:
        kind = class_of(step, TRANSFORMS)
        name = getattr(kind, '__name__', str(kind))
        if isinstance(step, dict) and isinstance(kind, type) and issubclass(kind, base):
            if _reads_alike(kind):
                return step
            others = [name]
            break
        if not is_stock(kind) or (name.startswith('Load') and ('Image' in name) == (what == 'images')):
            others.append(name)
    if others:
        raise UnknownLoadingError(
            f'cannot check {what} loaded by {others[0]}; the check reads what {base.__name__} reads'
        )
    return {}
