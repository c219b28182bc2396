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
from infopro_seg.cli import load_config
from infopro_seg.errors import ConfigError, DataError
from infopro_seg.hooks.checkpoint_guard import drop_local_heads, require_fit
from infopro_seg.models.stages import without_stage

LABELS = ('LoadLabels', 'LoadAnnotations')
LOADERS = ('LoadImage', 'LoadImageFromFile')


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
        kept = [copy.deepcopy(step) for step in steps if step['type'] not in LABELS]
        self.pipeline = Compose(kept)
        self.array_pipeline = Compose([step for step in kept if step['type'] not in LOADERS])

    @torch.no_grad()
    def predict(self, image: str | Path | np.ndarray) -> np.ndarray:
        """Segments one image.

        Args:
            image: path of an image file, or the image itself: (H, W, 3) uint8, in the order RGB.

        Returns:
            The index into `classes` of each pixel, (H, W) uint8.

        Raises:
            DataError: the file cannot be read, or the array is no such image.
        """
        if isinstance(image, np.ndarray):
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
                raise DataError(
                    f'the image is an array of shape {image.shape} and type {image.dtype}; give (H, W, 3) '
                    'uint8 in the order RGB, or the path of a file'
                )
            bgr = np.ascontiguousarray(image[..., ::-1])  # as mmcv loads files
            size = image.shape[:2]
            sample = self.array_pipeline({'img': bgr, 'img_path': None, 'img_shape': size, 'ori_shape': size})
        else:
            sample = self.pipeline({'img_path': str(image)})
        [result] = self.model.test_step(pseudo_collate([sample]))
        labels: np.ndarray = result.pred_sem_seg.data.squeeze(0).cpu().numpy().astype(np.uint8)
        return labels

    __call__ = predict


def load(config: str | Path, checkpoint: str | Path, device: str | None = None) -> Predictor:
    """Loads a trained network, see :func:`infopro_seg.load`."""
    path = Path(config)
    if path.is_dir():
        found = sorted(path.glob('*.py'))
        if len(found) != 1:
            names = ', '.join(file.name for file in found) or 'none'
            raise ConfigError(
                f'{path} should hold one config, but the .py files in it are: {names}; name one'
            )
        [path] = found
    return Predictor(load_config(path), checkpoint, device)


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
        without_stage(model['backbone'])
    return model


def _metainfo(config: Config) -> dict[str, Any]:
    """Classes and palette of the config's test set, without its files."""
    kind = DATASETS.get(config.test_dataloader.dataset.type)
    return {**kind.METAINFO, **config.test_dataloader.dataset.get('metainfo', {})}
