"""Memory that a training needs beside the traced step: averaged weights, and the buckets of DDP."""

from __future__ import annotations

from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import EMAHook
from mmengine.registry import HOOKS

from infopro_seg.memory.tracing.fake_model import build_model, fake_tensors
from infopro_seg.memory.tracing.storages import ELSEWHERE, storage_bytes
from infopro_seg.memory.tracing.training_setup import TrainingSetup
from infopro_seg.memory.variants import without_cuts


def memory_beside(cfg: Any, setup: TrainingSetup) -> dict[str, int]:
    """The bytes that each of them takes on a device, by name; empty if there are none.

    `EMAHook` keeps a copy of weights and buffers. DDP keeps a second copy of the gradients in its buckets.
    Both are computed for the model in the config, without local heads if `num_modules` has yet to find the
    cuts; a recipe with more local heads takes a little more.

    Args:
        cfg: the config of a training.
        setup: its batch, crop and precision.
    """
    averaged = sum(issubclass(_class_of(hook), EMAHook) for hook in cfg.get('custom_hooks') or ())
    distributed = get_world_size() > 1
    if not averaged and not distributed:
        return {}
    with fake_tensors():
        resolved = cfg if cfg.model.backbone.get('num_modules') is None else without_cuts(cfg)
        model = build_model(resolved, setup.crop)
        here = [tensor for tensor in model.parameters() if tensor.device != ELSEWHERE]
        buffers = [tensor for tensor in model.buffers() if tensor.device != ELSEWHERE]
        copy = storage_bytes([*here, *buffers])
        gradients = sum(parameter.nbytes for parameter in here if parameter.requires_grad)
    found = {'EMAHook': averaged * copy, 'DDP': gradients if distributed else 0}
    return {name: size for name, size in found.items() if size}


def _class_of(hook: Any) -> type:
    kind = hook['type'] if isinstance(hook, dict) else type(hook)
    return kind if isinstance(kind, type) else HOOKS.get(kind) or object
