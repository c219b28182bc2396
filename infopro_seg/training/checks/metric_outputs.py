"""Checks the label images that mmseg's `IoUMetric` writes itself (`output_dir`)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger
from mmseg.evaluation import IoUMetric

from infopro_seg.errors import ConfigError
from infopro_seg.evaluation.label_images import label_ids

REMEDY = 'leave output_dir out, and write label images with tools/test.py --out DIR'


def require_outputs(metrics: Iterable[Any], dataset: Any, split: str) -> None:
    """Checks that label images replace neither each other nor the data; warns if they do not hold its ids.

    mmseg names each by its image without the folders, and writes class indices.

    Args:
        metrics: the metrics of an evaluation.
        dataset: its data set.
        split: val or test, for the message.

    Raises:
        ConfigError: an image would be lost.
    """
    for metric in metrics:
        if (
            not isinstance(metric, IoUMetric)
            or metric.output_dir is None
            or not hasattr(dataset, 'get_data_info')
        ):
            continue
        where = f'output_dir={metric.output_dir!r} of the {type(metric).__name__} in {split}_evaluator'
        infos = [dataset.get_data_info(index) for index in range(len(dataset))]
        kept = {_real(info.get(key)) for info in infos for key in ('img_path', 'seg_map_path')}
        written: dict[str, str] = {}
        images = (info.get('img_path') for info in infos)
        for image in dict.fromkeys(path for path in images if path is not None):
            path = str(Path(metric.output_dir) / f'{Path(image).stem}.png')
            if _real(path) in kept:
                raise ConfigError(f'{where} would replace {path} of the data set; name another folder')
            if path in written:
                raise ConfigError(
                    f'{where}: the label images of {written[path]} and {image} would both be {path}; {REMEDY}'
                )
            written[path] = image
        meta = dataset.metainfo
        first = int(bool(meta.get('reduce_zero_label')))  # which mmseg adds to the indices
        classes = len(meta.get('classes') or ())
        if classes and list(label_ids(meta)) != list(range(first, first + classes)):
            stored = [old for old, new in (meta.get('label_map') or {}).items() if old != new < classes]
            others = 'label images of the data set' if stored else 'evaluation server of Cityscapes'
            MMLogger.get_current_instance().warning(
                f'{where} gets class indices, not the ids of the {others}; {REMEDY}'
            )


def _real(path: str | None) -> str | None:
    return None if path is None else os.path.realpath(path)
