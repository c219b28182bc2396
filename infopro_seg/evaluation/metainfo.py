"""What is known about a data set without its files: classes, colours, and ids of label images."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS

from infopro_seg.datasets.building import leaves
from infopro_seg.errors import ConfigError
from infopro_seg.stock_datasets import BaseSegDataset

SPLITS = ('train', 'val', 'test')  # a test split may be without labels, and say nothing about them


def metainfo_of(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """The `metainfo` that a data set of mmseg would have, without looking for its files.

    Args:
        dataset: the config of the data set, without wrappers.
    """
    kind = DATASETS.get(dataset['type']) if isinstance(dataset['type'], str) else dataset['type']
    own = dict(dataset.get('metainfo') or {})
    known: dict[str, Any] = {**getattr(kind, 'METAINFO', {}), **own}
    if not (isinstance(kind, type) and issubclass(kind, BaseSegDataset)):
        return known
    default = inspect.signature(kind).parameters.get('reduce_zero_label')
    reduce_zero_label = dataset.get('reduce_zero_label', False if default is None else default.default)
    # some data sets look for their files when they are made
    bare: Any = type(kind.__name__, (kind,), {'__init__': BaseSegDataset.__init__})
    try:
        built = bare(metainfo=own or None, reduce_zero_label=reduce_zero_label, lazy_init=True)
    except ValueError:  # palette or classes do not fit: a matter of training, not of what is trained
        return {**known, 'reduce_zero_label': reduce_zero_label}
    meta: dict[str, Any] = built.metainfo
    return meta


def trained_metainfo(checkpoint: Mapping[str, Any], config: Config) -> dict[str, Any]:
    """The `metainfo` of the data that a network was trained on: the checkpoint's own, else the config's.

    Args:
        checkpoint: the content of the checkpoint.
        config: the config that it was trained with.

    Raises:
        ConfigError: neither config nor checkpoint names the classes.
    """
    kept = dict((checkpoint.get('meta') or {}).get('dataset_meta') or {})
    loaders = (config.get(f'{split}_dataloader') for split in SPLITS)
    for leaf in (leaf for loader in loaders if loader for leaf in leaves(loader['dataset'])):
        found = metainfo_of(leaf)
        if found.get('classes') and list(kept.get('classes') or found['classes']) == list(found['classes']):
            return {**found, **{key: value for key, value in kept.items() if value is not None}}
    if not kept.get('classes'):
        raise ConfigError(
            f'neither the checkpoint nor the config {config.filename} names the classes; give its data sets '
            "a metainfo=dict(classes=('background', 'thing'))"
        )
    return kept
