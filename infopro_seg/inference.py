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
from mmseg.registry import DATASETS, MODELS

import infopro_seg.register  # noqa: F401
from infopro_seg.checkpoints import read_checkpoint
from infopro_seg.hooks.checkpoint_guard import drop_local_heads, require_fit

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
        model = revert_sync_batchnorm(MODELS.build(without_pretraining(without_local_modules(config.model))))
        drop_local_heads(model, content)
        state_dict = content.get('state_dict', content)
        require_fit(state_dict, model.state_dict(), str(checkpoint))
        model.load_state_dict(state_dict, strict=False)
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
    """A copy of a model's config that loads no pretrained weights: a checkpoint replaces them anyway."""
    model = copy.deepcopy(model)
    pending = [model]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if isinstance(node.get('init_cfg'), dict) and node['init_cfg'].get('type') == 'Pretrained':
                node['init_cfg'] = None
            if 'pretrained' in node:
                node['pretrained'] = None
            pending.extend(node.values())
        elif isinstance(node, (list, tuple)):
            pending.extend(node)
    return model


def without_local_modules(model: Any) -> Any:
    """A copy of a model's config for inference: the encoder in one piece, `num_modules` unresolved or not."""
    model = copy.deepcopy(model)
    if 'cuts' in model['backbone'] or 'num_modules' in model['backbone']:
        model['backbone'].update(cuts=(), num_modules=None, local_head=None, checkpoint=False)
    return model


def _metainfo(config: Config) -> dict[str, Any]:
    """Classes and palette of the config's test set, without its files."""
    kind = DATASETS.get(config.test_dataloader.dataset.type)
    return {**kind.METAINFO, **config.test_dataloader.dataset.get('metainfo', {})}
