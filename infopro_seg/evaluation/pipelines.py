"""The pipeline of a config's test images, without the steps that load labels."""

from __future__ import annotations

import copy
from typing import Any

from mmcv.transforms import LoadAnnotations, LoadImageFromFile
from mmengine.config import Config
from mmseg.registry import TRANSFORMS

from infopro_seg.datasets.building import leaves
from infopro_seg.errors import ConfigError

NESTED = ('transforms', 'transform')


def test_pipeline(config: Config) -> list[Any]:
    """The pipeline of a config's test images; for joined data sets, that of the first.

    Raises:
        ConfigError: the config has neither a test nor a validation split.
    """
    for split in ('test', 'val'):
        loader = config.get(f'{split}_dataloader')
        if loader:
            leaf = next(leaves(loader['dataset']))
            return list(copy.deepcopy(leaf.get('pipeline') or []))
    raise ConfigError(
        f'the config {config.filename} has neither a test_dataloader nor a val_dataloader, whose pipeline '
        'says how images are prepared; write one, see configs/custom_dataset.py'
    )


def without_labels(steps: Any) -> list[Any]:
    """A copy of a pipeline without the steps that load labels, including nested ones (`TestTimeAug`)."""
    kept: list[Any] = []
    for step in steps:
        if isinstance(step, (list, tuple)):
            inner = without_labels(step)
            kept += [inner] if inner else []
        elif not is_step(step, LoadAnnotations):
            nested = {
                key: without_labels(step[key]) for key in NESTED if isinstance(step.get(key), (list, tuple))
            }
            kept.append(type(step)({**step, **nested}))
    return kept


def is_step(step: Any, base: type) -> bool:
    """Whether a step of a pipeline has a type or a subclass of it."""
    kind = step.get('type')
    kind = TRANSFORMS.get(kind) if isinstance(kind, str) else kind
    return isinstance(kind, type) and issubclass(kind, base)


def loads_image(step: Any) -> bool:
    """Whether a step reads the image from its file."""
    return is_step(step, LoadImageFromFile)
