"""Checks that the data a config asks for is there, before anything is built."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmengine.config import Config

from infopro_seg.datasets.building import build_leaf, leaves, remedy_for
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
            for dataset in leaves(loader['dataset']):
                _require(dataset, split, config.get('data_howto'))


def _require(dataset: dict[str, Any], split: str, howto: str | None) -> None:
    built = build_leaf(dataset, split, howto)
    labels = [built.get_data_info(index).get('seg_map_path') for index in range(len(built))]
    missing = [path for path in labels if path is not None and not Path(path).is_file()]
    if missing:
        raise DataError(
            f'{len(missing)} of {len(labels)} label images of the {split} split are missing, e.g. '
            f'{missing[0]}; {remedy_for(howto)}'
        )
