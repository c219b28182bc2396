"""A small folder of images and masks, and configs of data sets in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from PIL import Image

CLASSES = ('ground', 'leaf', 'stem')
PALETTE = [(60, 60, 60), (90, 200, 70), (230, 150, 40)]


def save(path: Path, values: np.ndarray, **kwargs: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **kwargs)
    return path


def mask(height: int = 20, width: int = 30, classes: int = 3) -> np.ndarray:
    """All classes, so laid out that no turn or mirroring leaves it as it is."""
    labels = np.zeros((height, width), np.uint8)
    labels[: height // 2, : width // 3] = 1
    labels[: height // 4, : width // 5] = classes - 1
    return labels


def photograph(height: int = 20, width: int = 30) -> np.ndarray:
    """An image whose red says which class each pixel has."""
    picture = np.full((height, width, 3), 90, np.uint8)
    picture[..., 0] = mask(height, width) * 100
    return picture


def make(root: Path, count: int = 4, splits: tuple[str, ...] = ('train', 'val')) -> Path:
    for split in splits:
        for index in range(count):
            save(root / f'images/{split}/{index}.png', photograph())
            save(root / f'masks/{split}/{index}.png', mask())
    return root


def leaf(root: Path, split: str = 'train', **changes: Any) -> dict[str, Any]:
    return {
        'type': 'BaseSegDataset',
        'data_root': str(root),
        'data_prefix': {'img_path': f'images/{split}', 'seg_map_path': f'masks/{split}'},
        'img_suffix': '.png',
        'metainfo': {'classes': CLASSES, 'palette': PALETTE},
        'pipeline': [{'type': 'LoadImage'}, {'type': 'LoadLabels', 'num_classes': len(CLASSES)}],
        **changes,
    }


def config_of(dataset: dict[str, Any], split: str = 'train', batch_size: int = 2, **head: Any) -> Config:
    loader = {'batch_size': batch_size, 'sampler': {'type': 'DefaultSampler', 'shuffle': False}}
    decode_head = {'type': 'FCNHead', 'num_classes': len(CLASSES), **head}
    return Config(
        {'model': {'decode_head': decode_head}, f'{split}_dataloader': {**loader, 'dataset': dataset}}
    )
