"""Checks that the data a config asks for is there, before anything is built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS

from infopro_seg.errors import DataError


def require_data(config: Config, splits: Iterable[str]) -> None:
    """Checks the data sets of some splits: folders, images, a label image for each image.

    Args:
        config: a whole config; its `data_howto` says how to make the data.
        splits: any of train, val, test.

    Raises:
        DataError: something is missing; the message names it and the command that makes it.
    """
    for split in splits:
        loader = config.get(f'{split}_dataloader')
        if loader is not None:
            for dataset in dataset_leaves(loader['dataset']):
                _require(dataset, split, config.get('data_howto'))


def dataset_leaves(dataset: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The data sets inside wrappers such as `ConcatDataset` and `RepeatDataset`."""
    inner = dataset.get('datasets') or ([dataset['dataset']] if 'dataset' in dataset else None)
    if inner is None:
        yield dataset
    else:
        for item in inner:
            yield from dataset_leaves(item)


def _require(dataset: dict[str, Any], split: str, howto: str | None) -> None:
    remedy = f'; make it with: {howto}' if howto else '; correct the paths in the config'
    root = Path(dataset.get('data_root') or '')
    folders = [root / path for path in dict(dataset.get('data_prefix') or {}).values() if path]
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f'the {split} data is missing: no folder {folder}{remedy}')
    # not serialized, which an empty data set cannot be
    built = DATASETS.build({**dataset, 'pipeline': [], 'serialize_data': False})
    if len(built) == 0:
        raise DataError(
            f'the {split} split is empty: no *{built.img_suffix} in {folders[0] if folders else root}{remedy}'
        )
    labels = [built.get_data_info(index).get('seg_map_path') for index in range(len(built))]
    missing = [path for path in labels if path is not None and not Path(path).is_file()]
    if missing:
        raise DataError(
            f'{len(missing)} of {len(labels)} label images of the {split} split are missing, e.g. '
            f'{missing[0]}{remedy}'
        )
