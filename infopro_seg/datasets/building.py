"""Builds the data sets of a config without their pipelines, with clear errors."""

from __future__ import annotations

import copy
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmengine.dataset import BaseDataset, Compose, RepeatDataset
from mmengine.registry import Registry
from mmseg.registry import DATASETS, TRANSFORMS

from infopro_seg.datasets.metainfo import require_metainfo, require_palette_length
from infopro_seg.datasets.split_lists import list_file, require_names
from infopro_seg.errors import ConfigError, DataError
from infopro_seg.spelling import arguments_of, did_you_mean
from infopro_seg.stock_datasets import BaseSegDataset

STOCK = ('mmcv', 'mmengine', 'mmseg', 'infopro_seg')
TEXTS = ('ann_file', 'img_suffix', 'seg_map_suffix')
UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")


def leaves(dataset: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The data sets inside wrappers such as `ConcatDataset` and `RepeatDataset`.

    Raises:
        ConfigError: a wrapper holds no data set, or repeats it a number of times that is not 1 or more.
    """
    times = dataset.get('times', 1)
    repeats = class_of(dataset, DATASETS) is RepeatDataset
    if repeats and not (isinstance(times, int) and times >= 1):
        raise ConfigError(f'times={times!r} of the {dataset.get("type")}; write a whole number of 1 or more')
    if dataset.get('datasets') == []:
        raise ConfigError(f'datasets=[] of the {dataset.get("type")}; name at least one data set')
    inner = dataset.get('datasets') or ([dataset['dataset']] if 'dataset' in dataset else None)
    if inner is None or not all(isinstance(item, dict) for item in inner):
        yield dataset
    else:
        for item in inner:
            yield from leaves(item)


def build_leaf(dataset: dict[str, Any], split: str, howto: str | None) -> Any:
    """Builds a data set without its pipeline.

    Raises:
        ConfigError: the data set cannot be built, or its classes or colours are invalid.
        DataError: a folder is missing, the list of images cannot be read, or there are no images.
    """
    remedy = remedy_for(howto)
    _require_texts(dataset, split)
    root = Path(dataset.get('data_root') or '')
    folders = []
    if lists_files(dataset) and is_local(dataset):  # others know what to do with their prefixes
        folders = [root / path for path in dict(dataset.get('data_prefix') or {}).values() if path]
    for folder in folders:
        if not folder.is_dir():
            home = '; ~ is not replaced here: write the whole path' if folder.parts[:1] == ('~',) else ''
            raise DataError(f'the {split} data is missing: no folder {folder}{home}; {remedy}')
    require_names(dataset, split)
    require_palette_length(dataset, split)
    try:
        # an empty data set cannot be serialised, and would say so in numpy's words
        added = {'serialize_data': False, 'pipeline': []} if _is_base_dataset(dataset) else {}
        try:
            built = DATASETS.build({**dataset, **added})
        except TypeError:  # a data set of the user's own may not take these
            built = DATASETS.build(copy.deepcopy(dataset))
    except (AssertionError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        raise not_built(dataset, split, error, howto) from error
    if not isinstance(built, BaseDataset):
        return built  # the user's own
    if len(built) == 0:
        folder = folders[0] if folders else root
        if dataset.get('indices') in (0, []):
            raise DataError(
                f'the {split} split is empty: indices={dataset["indices"]} selects no image; write how many '
                'images to use, or leave indices out'
            )
        listed = list_file(dataset)
        if listed is not None:
            raise DataError(f'the {split} split is empty: the list {listed} names no image; {remedy}')
        raise DataError(
            f'the {split} split is empty: no *{getattr(built, "img_suffix", "")} in {folder}'
            f'{_suffixes(folder)}; {remedy}'
        )
    if isinstance(built, BaseSegDataset):
        require_metainfo(built, dataset.get('type'), split)
    return built


def not_built(dataset: dict[str, Any], split: str, error: Exception, howto: str | None) -> ConfigError:
    """The error for a data set that cannot be built, with the reason that its class gave."""
    what = f'cannot build the {split} data set {dataset.get("type")}'
    unexpected = UNEXPECTED.search(str(error)) if isinstance(error, TypeError) else None
    if unexpected is not None and unexpected[1] in dataset:
        name, accepted = unexpected[1], arguments_of(class_of(dataset, DATASETS))
        hint = did_you_mean(name, accepted) or (f'; it accepts {", ".join(accepted)}' if accepted else '')
        return ConfigError(
            f'{what}: it does not accept {name}={dataset[name]!r}{hint}. To drop what a _base_ sets, write '
            '_delete_=True beside the type'
        )
    reason = ' '.join(str(error).split()) or type(error).__name__
    remedy = f'get the data: {howto}' if howto else remedy_for(howto)
    return ConfigError(f'{what}: {reason}; correct its config, or {remedy}')


def lists_files(dataset: dict[str, Any]) -> bool:
    """Whether mmseg itself lists the images of a data set; a class of the user's own may do so in any way."""
    return is_stock(getattr(class_of(dataset, DATASETS), 'load_data_list', None))


def is_local(dataset: dict[str, Any]) -> bool:
    """Whether the files of a data set are in the file system, not in a remote store."""
    backend = (dataset.get('backend_args') or {}).get('backend', 'local')
    return backend == 'local' and '://' not in str(dataset.get('data_root'))


def class_of(part: Any, registry: Registry) -> Any:
    """The class that a part of a config names; of a step that is not a dict, its own."""
    kind = part.get('type') if isinstance(part, dict) else type(part)
    return registry.get(kind) if isinstance(kind, str) else kind


def is_stock(kind: Any) -> bool:
    """Whether a class or method is not of the user's own, which may do anything."""
    return str(getattr(kind, '__module__', '')).partition('.')[0] in STOCK


def _is_base_dataset(dataset: dict[str, Any]) -> bool:
    kind = class_of(dataset, DATASETS)
    return kind is None or (isinstance(kind, type) and issubclass(kind, BaseDataset))


def _require_texts(dataset: dict[str, Any], split: str) -> None:
    """Checks that paths and suffixes are single strings; mmseg would misread others, or fail later."""
    where = f'of the {split} data set {dataset["type"]}'
    prefix = dataset.get('data_prefix') or {}
    if not lists_files(dataset):
        return
    if not isinstance(prefix, dict):
        raise ConfigError(
            f'data_prefix={prefix!r} {where} is not a dict; write dict(img_path=..., seg_map_path=...)'
        )
    kind = class_of(dataset, DATASETS)
    stock = getattr(kind, 'load_data_list', None) is BaseSegDataset.load_data_list
    given = {key: dataset.get(key) for key in ('data_root', *(TEXTS if stock else ()))} | prefix
    for key, value in given.items():
        if value and not isinstance(value, (str, os.PathLike)):
            raise ConfigError(
                f'{key}={value!r} {where} is a {type(value).__name__}; write a single string, and join '
                'several data sets by a ConcatDataset'
            )


def build_pipeline(steps: Iterable[Any]) -> Any | None:
    """Builds a pipeline in any scope; None if it cannot be built, which building the loader will report."""
    try:
        return Compose([TRANSFORMS.build(copy.deepcopy(step)) for step in steps])
    except Exception:  # any, from a step of the user's own
        return None


def remedy_for(howto: str | None) -> str:
    """What to do about missing data: the config's `data_howto`, if it has one."""
    return f'to get it: {howto}' if howto else 'correct the paths in the config'


def _suffixes(folder: Path) -> str:
    """For the error message: the suffixes that a folder contains instead."""
    files = (path for path in folder.rglob('*') if path.is_file() and not path.name.startswith('.'))
    found = Counter(path.suffix for path in files)
    kinds = ', '.join(f'{count} *{suffix}' for suffix, count in found.most_common(3))
    return f', which holds {kinds} (img_suffix says what to look for)' if kinds else ''
