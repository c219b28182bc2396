"""configs/custom_dataset.py and the commands of docs/custom_dataset.md, on a tiny folder."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from mmseg.registry import MODELS

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.checks.command import check_dataset

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs' / 'custom_dataset.py'
CLASSES = 3  # the config's


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the config expects, below the working folder."""
    rng = np.random.default_rng(0)
    for split, count in (('train', 3), ('val', 2)):
        for index in range(count):
            mask = rng.integers(0, CLASSES, (48, 64), dtype=np.uint8)
            image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            for kind, suffix, values in (('images', '.jpg', image), ('masks', '.png', mask)):
                path = tmp_path / 'data/custom' / kind / split / f'{index}{suffix}'
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), values)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def numbers_of_classes(node):
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == 'num_classes')
        node = list(node.values())
    if isinstance(node, list | tuple):
        for item in node:
            yield from numbers_of_classes(item)


def used_numbers(path):
    config = Config.fromfile(path)
    parts = ('model', 'train_dataloader', 'val_dataloader', 'test_dataloader')
    return {number for part in parts for number in numbers_of_classes(config[part])}


def test_the_number_of_classes_is_set_in_one_place(tmp_path):
    assert used_numbers(CONFIG) == {CLASSES}
    text = CONFIG.read_text().replace("'leaf', 'stem')", "'leaf', 'stem', 'root', 'fruit')")
    own = tmp_path / 'own.py'
    own.write_text(text.replace("'_base_/", f"'{ROOT}/configs/_base_/"))
    assert used_numbers(own) == {5}


@pytest.mark.parametrize('split', ['train', 'val'])
def test_the_check_passes_and_draws(folder, split):
    assert check_dataset(CONFIG, split, workers=1) == 0
    written = sorted(path.name for path in (folder / 'work_dirs/custom_dataset/dataset').iterdir())
    assert written == [f'{split}_classes.png', f'{split}_samples.png']


def test_a_thin_model_trains_on_it(folder):
    config = Config.fromfile(CONFIG)
    config.merge_from_dict(
        {
            'model.backbone.encoder.init_cfg': None,
            'model.backbone.encoder.base_channels': 4,
            'model.backbone.local_head.auxiliary_head.channels': 8,
            'model.decode_head.channels': 8,
            'model.data_preprocessor.size': (48, 64),
            'train_dataloader.batch_size': 2,
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'train_dataloader.dataset.pipeline.3.crop_size': (48, 64),
        }
    )
    model = revert_sync_batchnorm(MODELS.build(config.model))
    batch = next(iter(Runner.build_dataloader(config.train_dataloader, seed=0)))
    before = model.decode_head.conv_seg.weight.clone()
    logs = model.train_step(batch, build_optim_wrapper(model, config.optim_wrapper))
    assert np.isfinite(float(logs['loss']))
    assert model.decode_head.out_channels == CLASSES
    assert not (model.decode_head.conv_seg.weight == before).all()
