"""A data set in one .npz file of encoded images (JPEG, PNG)."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import mmcv
import numpy as np
from mmpretrain.datasets import BaseDataset
from mmseg.registry import DATASETS

from infopro_seg.errors import ConfigError, DataError

UNREADABLE = (OSError, ValueError, EOFError, TypeError, AttributeError, KeyError, BadZipFile, zlib.error)
"""What NumPy raises for a file that is cut off, or is none of arrays by name."""


@DATASETS.register_module()
class EncodedImages(BaseDataset):
    """Images and labels of a split of an `.npz`.

    The file holds for each split `{split}_bytes`, the encoded images one after the other (uint8);
    `{split}_offsets`, where each begins, and the end of the last; `{split}_labels`, the class index of each;
    and once `classes`, the names of the classes.

    Args:
        data_file: the file.
        split: the split.
        per_class: maximum number of images per class, the first in the file; None for all.
        metainfo: replaces the class names.
        kwargs: other arguments of mmengine's `BaseDataset`.

    Raises:
        ConfigError: `per_class` is no whole number of 1 or more.
        DataError: the file cannot be read, lacks an array of the split, or has arrays that do not fit each
            other; or an image cannot be decoded.
    """

    def __init__(
        self,
        data_file: str,
        split: str = 'train',
        per_class: int | None = None,
        metainfo: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if per_class is not None and (type(per_class) is not int or per_class < 1):
            raise ConfigError(f'per_class={per_class!r} of EncodedImages; write 1 or more, or None for all')
        self.data_file = data_file
        self.split = split
        self.per_class = per_class
        self._arrays = self._read()
        metainfo = {'classes': tuple(self._arrays['classes'].tolist()), **(metainfo or {})}
        super().__init__(ann_file='', metainfo=metainfo, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """The encoded images with their labels; they are decoded when they are read."""
        data, offsets = self._arrays['bytes'], self._arrays['offsets'].tolist()
        labels = self._arrays['labels'].astype(np.int64)
        classes = len(self.metainfo['classes'])  # those of metainfo, where it replaces the file's
        outside = labels[(labels < 0) | (labels >= classes)]
        if outside.size:
            raise self._misfit(f'label {outside[0]}, but the {classes} classes are 0 to {classes - 1}')
        chosen = np.arange(len(labels))
        if self.per_class is not None:
            of_each = (np.flatnonzero(labels == label)[: self.per_class] for label in np.unique(labels))
            chosen = np.concatenate(list(of_each))
        return [
            {
                'encoded': data[offsets[index] : offsets[index + 1]].tobytes(),
                'gt_label': int(labels[index]),
                'sample_idx': index,
            }
            for index in chosen.tolist()
        ]

    def full_init(self) -> None:
        """Reads the split; the file's arrays are not kept beside it."""
        super().full_init()
        self._arrays = {}

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """An image, BGR (H, W, 3), with its label.

        Raises:
            DataError: the image cannot be decoded.
        """
        info: dict[str, Any] = super().get_data_info(idx)
        image = mmcv.imfrombytes(info.pop('encoded'), flag='color')
        if image is None:
            raise DataError(
                f'image {idx} of the {self.split} split of {self.data_file} cannot be decoded; write the '
                'file again'
            )
        size = image.shape[:2]
        return {**info, 'img': image, 'img_shape': size, 'ori_shape': size}

    def _read(self) -> dict[str, np.ndarray]:
        names = {name: f'{self.split}_{name}' for name in ('bytes', 'offsets', 'labels')}
        names['classes'] = 'classes'
        try:
            with np.load(Path(self.data_file)) as content:
                missing = [name for name in names.values() if name not in content.files]
                if missing:
                    raise DataError(
                        f'{self.data_file} lacks {", ".join(missing)}; it has {", ".join(content.files)}. '
                        'Each split has SPLIT_bytes, SPLIT_offsets and SPLIT_labels'
                    )
                arrays = {key: content[name] for key, name in names.items()}
        except UNREADABLE as error:
            if isinstance(error, DataError):
                raise
            raise DataError(
                f'the {self.split} data cannot be read: {self.data_file} ({type(error).__name__}: {error}); '
                'correct data_file of the data set, or make the file'
            ) from error
        wrong = _mismatch(arrays)
        if wrong is not None:
            raise self._misfit(wrong)
        return arrays

    def _misfit(self, wrong: str) -> DataError:
        return DataError(f'the {self.split} arrays of {self.data_file} do not fit: {wrong}; write it again')


def _mismatch(arrays: dict[str, np.ndarray]) -> str | None:
    """What is wrong with the arrays of a split; None if they fit each other."""
    for name, kinds, form in (
        ('bytes', 'iu', 'a row of bytes'),
        ('offsets', 'iu', 'a row of whole numbers'),
        ('labels', 'iub', 'a row of whole numbers'),
        ('classes', 'USiu', 'a row of names'),
    ):
        array = arrays[name]
        if array.ndim != 1 or array.dtype.kind not in kinds:
            return f'{name} are {array.dtype} of the shape {array.shape}, where {form} is needed'
    offsets, labels, data = arrays['offsets'], arrays['labels'], arrays['bytes']
    if not len(labels):
        return 'they hold no image'
    if len(offsets) != len(labels) + 1:
        return f'{len(offsets)} offsets for {len(labels)} labels, where one more than labels is needed'
    if (offsets[1:] <= offsets[:-1]).any() or offsets[0] < 0 or offsets[-1] > len(data):
        return f'offsets do not rise from 0 to the {len(data)} bytes'
    return None
