"""The test images of a config, with or without labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from infopro_seg.datasets.building import build_leaf, leaves
from infopro_seg.errors import ConfigError, DataError
from infopro_seg.evaluation.label_images import label_ids
from infopro_seg.evaluation.metainfo import trained_metainfo
from infopro_seg.evaluation.names import output_names
from infopro_seg.evaluation.pipelines import without_labels


@dataclass(frozen=True)
class TestSet:
    """The test split of a config.

    Args:
        images: folder and path of each image.
        labelled: whether each image has a label image.
        meta: the `metainfo` of the (first) data set.
    """

    __test__ = False  # not a test for pytest

    images: list[tuple[str, str]]
    labelled: bool
    meta: dict[str, Any]

    @property
    def names(self) -> dict[str, str]:
        """The name of each image's label image, below the folder of the results."""
        return {image: str(name) for image, name in output_names(self.images).items()}

    def ids(self, checkpoint: Mapping[str, Any], config: Config) -> list[int]:
        """The label id of each class: from the test labels or, without these, from the training labels."""
        meta = self.meta
        if not self.labelled:
            trained = trained_metainfo(checkpoint, config)
            meta = trained if list(trained['classes']) == list(meta['classes']) else meta
        ids: list[int] = label_ids(meta).tolist()
        return ids


def read_test_set(config: Config) -> TestSet:
    """Lists the images of a config's test split.

    Raises:
        ConfigError: the config has no test split, or its data set cannot be built.
        DataError: folders are missing, or only some of the images have labels.
    """
    loader = config.get('test_dataloader')
    if not loader:
        raise ConfigError(
            f'the config {config.filename} has no test_dataloader; write one, e.g. '
            'test_dataloader = val_dataloader'
        )
    images, labels = [], []
    meta: dict[str, Any] = {}
    for leaf in leaves(loader['dataset']):
        _require_labels(leaf)
        built = build_leaf(leaf, 'test', config.get('data_howto'))
        meta = meta or built.metainfo
        folder = getattr(built, 'data_prefix', {}).get('img_path')
        for index in range(len(built)):
            info = built.get_data_info(index)
            images.append((folder or str(Path(info['img_path']).parent), info['img_path']))
            labels.append(info.get('seg_map_path') is not None)
    if any(labels) and not all(labels):
        raise DataError(
            f'{labels.count(False)} of {len(labels)} test images have no labels, because one of the '
            'concatenated data sets has no seg_map_path in its data_prefix; test the data sets separately'
        )
    return TestSet(images, all(labels), meta)


def _require_labels(dataset: Mapping[str, Any]) -> None:
    """Says how to test without labels, if the images exist but the folder of the labels does not."""
    root, prefix = Path(dataset.get('data_root') or ''), dict(dataset.get('data_prefix') or {})
    images, labels = prefix.get('img_path'), prefix.get('seg_map_path')
    if images and labels and (root / images).is_dir() and not (root / labels).is_dir():
        raise DataError(
            f'the test images have no labels: no folder {root / labels}; correct seg_map_path of the test '
            "data set's data_prefix, or leave it out and write label images with --out DIR"
        )


def drop_labels(config: Config) -> None:
    """Makes a config test without labels, and so without metrics, in place."""
    for leaf in leaves(config.test_dataloader['dataset']):
        leaf['pipeline'] = without_labels(leaf.get('pipeline') or [])
    config.test_evaluator = []
