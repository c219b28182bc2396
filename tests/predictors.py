"""A tiny network with its config and checkpoint on the disk, for tests of prediction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

import infopro_seg.register  # noqa: F401
from infopro_seg.config_files import load_config
from infopro_seg.export import export
from infopro_seg.inference import Predictor
from tests.stand_ins import build, head_config, make_batch, model_config, preprocessed

CLASSES = ('road', 'tree', 'roof', 'lawn', 'car')
META = {
    'classes': CLASSES,
    'palette': [[40 * n, 255 - 50 * n, 90] for n in range(5)],
    'reduce_zero_label': True,
}
ENCODER = {'type': 'SideNormEncoder'}  # three convolutions
HEADS: dict[str, Any] = {'decode_head': head_config(in_index=1), 'auxiliary_head': None}
LOAD, PACK = {'type': 'LoadImage'}, {'type': 'PackSegInputs'}
WINDOW, STRIDE = (64, 64), (40, 44)
SLIDE = {'mode': 'slide', 'crop_size': WINDOW, 'stride': STRIDE}
WHOLE = {'mode': 'whole'}


@dataclass
class Saved:
    config: Path
    checkpoint: Path

    def predictor(self, half: bool = False) -> Predictor:
        return _loaded(self.config, self.checkpoint, 'cpu', half, 1, True)

    def exported(self, out: Path) -> Path:
        return export(self.checkpoint, out / 'net.onnx', load_config(self.config), 'onnx')


_predictors: dict[Any, Predictor] = {}


def _loaded(config: Path, checkpoint: Path, *args: Any) -> Predictor:
    """A predictor, built once for all tests of a file."""
    text = config.read_text()
    key = (text, checkpoint, *args)
    if key not in _predictors:
        _predictors[key] = Predictor(load_config(config), checkpoint, *args)
    return _predictors[key]


def load_once(monkeypatch: Any) -> None:
    """Lets predictions share networks that they would load anew."""
    monkeypatch.setattr(
        'infopro_seg.inference.Predictor',
        lambda config, checkpoint, *args: _loaded(Path(config.filename), checkpoint, *args),
    )


def save_network(
    folder: Path, test_cfg: dict[str, Any], *steps: dict[str, Any], classes: int | None = None, **change: Any
) -> Saved:
    """A network that finds all classes somewhere, in float32.

    Args:
        folder: for its files.
        test_cfg: how it predicts.
        steps: of the test pipeline, between loading and packing.
        classes: how many of the classes it names; all by default.
        change: of the model's config.
    """
    init_default_scope('mmseg')
    model_cfg = model_config(('steps.0',), encoder=ENCODER, **HEADS, test_cfg=test_cfg) | change
    model = build(model_cfg, double=False)
    settle(model)
    pipeline = [LOAD, *steps, PACK]
    named = META | {key: META[key][:classes] for key in ('classes', 'palette')}
    dataset = {'type': 'BaseSegDataset', 'metainfo': named, 'reduce_zero_label': True, 'pipeline': pipeline}
    config = Config({'model': model_cfg, 'test_dataloader': {'dataset': dataset}, 'crop_size': WINDOW})
    folder.mkdir(parents=True, exist_ok=True)
    config.dump(folder / 'net.py')
    meta = {'cfg': config.pretty_text, 'dataset_meta': named}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, folder / 'net.pth')
    return Saved(folder / 'net.py', folder / 'net.pth')


@torch.no_grad()
def settle(model: Any) -> None:
    """Statistics of norms, and a classifier, by which every class is found somewhere."""
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    inputs, samples = preprocessed(model, make_batch(2, seed=5, size=(96, 96)))
    metas = [sample.metainfo for sample in samples]
    model.train().encode_decode(inputs, metas)
    logits = model.eval().encode_decode(inputs, metas)
    model.decode_head.conv_seg.bias -= logits.mean((0, 2, 3))
    for norm in norms:
        norm.momentum = 0.1


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """An image of coarse patches with noise, (H, W, 3) BGR uint8."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 12 + 2, width // 12 + 2, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).astype(int)
    return (image + random.integers(-20, 21, image.shape)).clip(0, 255).astype(np.uint8)
