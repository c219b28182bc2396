"""Loads the network of a checkpoint for prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from infopro_seg.checkpoints import read_checkpoint
from infopro_seg.config_edits import without_local_modules, without_pretraining
from infopro_seg.errors import CheckpointError
from infopro_seg.hooks.checkpoint_guard import drop_local_heads, require_fit, trained_classes


def load_trained(config: Config, checkpoint: str | Path, device: str) -> tuple[Any, dict[str, Any]]:
    """Builds the network of a config in evaluation mode, without local heads, and loads its weights.

    Args:
        config: the config of the training.
        checkpoint: the checkpoint, with or without local heads.
        device: the device of the network.

    Returns:
        The network, and the content of the checkpoint.

    Raises:
        CheckpointError: the checkpoint is missing, or belongs to another model.
    """
    init_default_scope(config.get('default_scope', 'mmseg'))
    content = read_checkpoint(checkpoint)
    model = revert_sync_batchnorm(MODELS.build(without_pretraining(without_local_modules(config.model))))
    drop_local_heads(model, content)
    state_dict = content.get('state_dict', content)
    require_fit(state_dict, model.state_dict(), str(checkpoint))
    classes, count = trained_classes(content), getattr(model, 'num_classes', None)
    if classes and count is not None and len(classes) != count:
        raise CheckpointError(
            f'the checkpoint {checkpoint} names {len(classes)} classes, but the network of the config '
            f'predicts {count}; use the config that it was trained with'
        )
    model.load_state_dict(state_dict, strict=False)
    return model.to(device).eval(), content
