"""The text files that list the images of a split (`ann_file`)."""

from __future__ import annotations

import codecs
from collections import Counter
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from infopro_seg.errors import DataError
from infopro_seg.stock_datasets import BaseSegDataset

MARKS = {
    codecs.BOM_UTF8: 'begins with a byte-order mark',
    codecs.BOM_UTF16_LE: 'is UTF-16',
    codecs.BOM_UTF16_BE: 'is UTF-16',
}
"""Byte-order marks of Windows editors; mmseg would take them for a part of the first name."""

AS_UTF8 = "save it as plain UTF-8 without a byte-order mark (in Notepad: 'Save as', encoding 'UTF-8')"


def list_file(dataset: dict[str, Any]) -> Path | None:
    """The file that lists a data set's images by name; None if there is none, or if it has another format."""
    name = dataset.get('ann_file')
    kind = DATASETS.get(dataset['type']) if isinstance(dataset['type'], str) else dataset['type']
    reads_names = getattr(kind, 'load_data_list', None) is BaseSegDataset.load_data_list
    path = Path(dataset.get('data_root') or '') / name if name and reads_names else None
    return path if path is not None and path.is_file() else None


def require_names(dataset: dict[str, Any], split: str) -> None:
    """Checks a list that mmseg will read: UTF-8 lines, each with a name without suffix.

    Args:
        dataset: config of a data set, without wrappers.
        split: train, val or test.

    Raises:
        DataError: mmseg would misread the list, or images to evaluate are named twice.
    """
    given = Path(dataset.get('data_root') or '') / (dataset.get('ann_file') or '')
    if dataset.get('ann_file') and given.is_dir():
        raise DataError(
            f'ann_file of the {split} split is the folder {given}, so mmseg would use all images; name '
            'a file, or leave out ann_file to use them'
        )
    path = list_file(dataset)
    if path is None:
        return
    data = path.read_bytes()
    for mark, what in MARKS.items():
        if data.startswith(mark):
            raise DataError(f'the list {path} of the {split} split {what}; {AS_UTF8}')
    if b'\0' in data:
        raise DataError(f'the list {path} of the {split} split is UTF-16 or not text; {AS_UTF8}')
    try:
        lines = [line.strip() for line in data.decode('utf-8').splitlines()]
    except UnicodeDecodeError as error:
        raise DataError(f'the list {path} of the {split} split is not UTF-8 ({error}); {AS_UTF8}') from error
    if not any(lines):
        raise DataError(
            f'the list {path} of the {split} split names no image; write one name per line, without suffix, '
            'or leave out ann_file to use the whole folder'
        )
    if '' in lines:
        number = lines.index('') + 1
        raise DataError(
            f'blank lines in the list {path} of the {split} split: {lines.count("")}, the first is line '
            f'{number}; remove them, because mmseg reads each as the name of an image'
        )
    twice = [name for name, count in Counter(lines).items() if count > 1]
    if twice and split != 'train':
        raise DataError(
            f'the list {path} of the {split} split names {len(twice)} images more than once, e.g. '
            f'{twice[0]}, and each would count in the metrics as often; name each image once'
        )
