"""Checks that the images of a validation batch have one size; mmseg stacks them, and would fail later."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config

from infopro_seg.datasets.building import build_pipeline, leaves
from infopro_seg.errors import DataError

Size = tuple[int, int]
MOST_PIXELS = 2**28  # largest image to try; larger ones are resized too slowly


def require_equal_sizes(config: Config, split: str, images: Sequence[tuple[Path, Size | None]]) -> None:
    """Checks that all images of a batch have the same size after the pipeline.

    Args:
        config: a whole config.
        split: train, val or test; train is not checked, because its images are cropped and padded.
        images: all images in order, with width and height if known.

    Raises:
        DataError: images of one batch differ in size after the pipeline.
    """
    loader = config[f'{split}_dataloader']
    count = loader.get('batch_size', 1)
    sampler, kind = loader.get('sampler'), (config.model.get('data_preprocessor') or {}).get('type')
    in_order = isinstance(sampler, dict) and sampler.get('type') == 'DefaultSampler'
    if split == 'train' or count == 1 or not in_order or sampler.get('shuffle', True):
        return
    if kind is not None and str(kind).rpartition('.')[2].strip("'>") != 'SegDataPreProcessor':
        return  # the user's own, which may pad
    pipelines = [leaf.get('pipeline') or [] for leaf in leaves(loader['dataset'])]
    resized = _resizing(pipelines[0])
    if any(pipeline != pipelines[0] for pipeline in pipelines) or resized is None:
        return
    known: dict[Size, Size | None] = {}
    for batch in _batches(images, count, config.get('launcher', 'none')):
        first: tuple[Path, Size] | None = None
        for path, size in batch:
            if size is None:
                continue
            if size not in known:
                known[size] = resized(size)
            found = known[size]
            if found is None:
                return  # the pipeline needs more than an image
            if first is not None and found != first[1]:
                raise DataError(
                    f'the images of a {split} batch have different sizes after the pipeline, e.g. {first[0]} '
                    f'{first[1][0]}x{first[1][1]} and {path} {found[0]}x{found[1]} pixels; set batch_size=1 '
                    f'in the {split}_dataloader'
                )
            first = first or (path, found)


def _batches(
    images: Sequence[tuple[Path, Size | None]], count: int, launcher: str
) -> Iterator[Sequence[Any]]:
    """The batches of every process, as mmengine's `DefaultSampler` deals images out in order."""
    variable = {'pytorch': 'WORLD_SIZE', 'slurm': 'SLURM_NTASKS'}.get(launcher, '')
    processes = int(os.environ.get(variable) or 1)
    for rank in range(processes):
        mine = images[rank::processes]
        for start in range(0, len(mine), count):
            yield mine[start : start + count]


def _resizing(pipeline: Sequence[dict[str, Any]]) -> Callable[[Size], Size | None] | None:
    """A function from the size of an image to its size after the pipeline; None if this cannot be tried."""
    if not all(isinstance(step, dict) for step in pipeline):
        return None
    names = [step['type'] if isinstance(step['type'], str) else step['type'].__name__ for step in pipeline]
    if 'TestTimeAug' in names:  # each of its variants scales all images alike, or to one size
        return None if "'scale'" in str(pipeline) else lambda size: size
    steps = [
        step for step, name in zip(pipeline, names, strict=True) if not name.startswith(('Load', 'Pack'))
    ]
    transforms = build_pipeline(steps)
    if transforms is None:
        return None

    def resized(size: Size) -> Size | None:
        width, height = size
        if width * height > MOST_PIXELS:
            return None
        image = np.zeros((height, width, 3), dtype=np.uint8)
        try:
            out = transforms({'img': image, 'img_shape': (height, width), 'ori_shape': (height, width)})
            return out['img'].shape[1], out['img'].shape[0]
        except Exception:  # of a step that needs more than an image, perhaps the user's own
            return None

    return resized
