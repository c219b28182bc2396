"""Saves accumulated gradients in checkpoints, if several iterations make one optimizer step."""

from __future__ import annotations

from typing import Any

from mmengine.dist import all_reduce_params
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

GRADIENTS = 'gradients'


@HOOKS.register_module()
class PendingGradientsHook(Hook):
    """Saves the gradients that wait for their optimizer step (`accumulative_counts`), and restores them.

    In distributed training, the checkpoint contains the gradients of the rank that writes it, for all ranks;
    the checkpoint hook first calls :func:`average_gradients` on all of them. Files without an optimizer, such
    as the best checkpoint, contain no gradients.
    """

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Adds the gradients to the checkpoint; right after a step there are none."""
        pending = {name: p.grad.cpu() for name, p in _parameters(runner) if p.grad is not None}
        if pending and 'optimizer' in checkpoint:
            checkpoint[GRADIENTS] = pending

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Restores the gradients, on resuming only."""
        pending = checkpoint.get(GRADIENTS, {}) if runner._resume else {}
        for name, parameter in _parameters(runner):
            if name in pending:
                parameter.grad = pending[name].to(parameter.device)


def average_gradients(runner: Any) -> None:
    """Gives every rank the mean of the waiting gradients; the mean of the whole step stays the same."""
    group = getattr(runner.model, 'data_group', None)  # of the ranks that train the same parameters
    all_reduce_params([p.grad for _, p in _parameters(runner) if p.grad is not None], op='mean', group=group)


def has_gradients(runner: Any) -> bool:
    """Whether gradients wait for their optimizer step."""
    return any(p.grad is not None for _, p in _parameters(runner))


def _parameters(runner: Any) -> Any:
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return model.named_parameters()
