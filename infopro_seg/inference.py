"""Prediction on images outside a data set."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmengine.runner.checkpoint import _load_checkpoint_to_model
from mmseg.registry import DATASETS, MODELS

import infopro_seg.register  # noqa: F401
from infopro_seg.checkpoints import read_checkpoint
from infopro_seg.hooks.checkpoint_guard import require_fit

LABELS = ('LoadLabels', 'LoadAnnotations')


class Predictor:
    """A trained network, ready for images.

    Args:
        config: the config it was trained with.
        checkpoint: its checkpoint, with or without local heads.
        device: `cpu`, `cuda`, ...; the GPU by default where there is one.

    Raises:
        CheckpointError: the checkpoint is missing or of another model.
    """

    def __init__(self, config: Config, checkpoint: str | Path, device: str | None = None) -> None:
        init_default_scope(config.get('default_scope', 'mmseg'))
        content = read_checkpoint(checkpoint)
        model = revert_sync_batchnorm(MODELS.build(without_pretraining(config.model)))
        require_fit(content.get('state_dict', content), model.state_dict(), str(checkpoint))
        _load_checkpoint_to_model(model, content)
        self.device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
        self.model: Any = model.to(self.device).eval()
        meta = content.get('meta', {}).get('dataset_meta') or _metainfo(config)
        self.classes: tuple[str, ...] = tuple(meta['classes'])
        self.palette = np.array(meta['palette'], dtype=np.uint8)
        steps = config.test_dataloader.dataset.pipeline
        self.pipeline = Compose([copy.deepcopy(step) for step in steps if step['type'] not in LABELS])

    @torch.no_grad()
    def __call__(self, path: str | Path) -> np.ndarray:
        """Segments an image file.

        Returns:
            The class index of each pixel of the file, (H, W) uint8.

        Raises:
            DataError: the image cannot be read.
        """
        data = pseudo_collate([self.pipeline({'img_path': str(path)})])
        [result] = self.model.test_step(data)
        labels: np.ndarray = result.pred_sem_seg.data.squeeze(0).cpu().numpy().astype(np.uint8)
        return labels


def without_pretraining(model: Any) -> Any:
    """A model's config that loads no pretrained weights: a checkpoint replaces them anyway."""
    if isinstance(model, dict):
        out = {key: without_pretraining(value) for key, value in model.items()}
        init = out.get('init_cfg')
        if isinstance(init, dict) and init.get('type') == 'Pretrained':
            out['init_cfg'] = None
        if 'pretrained' in out:
            out['pretrained'] = None
        return out
    if isinstance(model, (list, tuple)):
        return type(model)(without_pretraining(item) for item in model)
    return model


def _metainfo(config: Config) -> dict[str, Any]:
    """Classes and palette of the config's test set, without its files."""
    kind = DATASETS.get(config.test_dataloader.dataset.type)
    return {**kind.METAINFO, **config.test_dataloader.dataset.get('metainfo', {})}
