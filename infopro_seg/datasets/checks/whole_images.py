"""Checks, before anything is built, that the images of a classifier's config exist."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS

from infopro_seg.datasets.building import leaves, remedy_for
from infopro_seg.errors import ConfigError, DataError, UserError

FAULTS = (AssertionError, AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError)


def require_images(config: Config, splits: Iterable[str]) -> None:
    """Checks the data sets of some splits; mmpretrain's downloadable ones are downloaded.

    Args:
        config: a whole config; its `data_howto` says how to make the data.
        splits: any of train, val, test.

    Raises:
        ConfigError: a data set cannot be built.
        DataError: a data set is empty, or files are missing.
    """
    for split in splits:
        loader = config.get(f'{split}_dataloader')
        for dataset in leaves(loader['dataset']) if loader is not None else ():
            _require(dataset, split, config)


def build_images(dataset: dict[str, Any], split: str, config: Config) -> Any:
    """Builds a data set without its pipeline.

    Raises:
        ConfigError: the data set cannot be built.
    """
    try:
        return DATASETS.build({**dataset, 'pipeline': []})
    except UserError:
        raise
    except FAULTS as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise ConfigError(
            f'cannot build the {split} data set {dataset.get("type")}: {reason}; correct its config, or '
            f'{remedy_for(config.get("data_howto"))}'
        ) from error


def _require(dataset: dict[str, Any], split: str, config: Config) -> None:
    remedy = remedy_for(config.get('data_howto'))
    built = build_images(dataset, split, config)
    if len(built) == 0:
        raise DataError(f'the {split} split has no images; {remedy}')
    paths = [built.get_data_info(index).get('img_path') for index in range(len(built))]
    missing = [path for path in paths if path is not None and not Path(path).is_file()]
    if missing:
        raise DataError(
            f'{len(missing)} of {len(paths)} images of the {split} split are missing, e.g. {missing[0]}; '
            f'{remedy}'
        )
