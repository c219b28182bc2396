"""Ends a training whose losses or weights are no longer finite."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import AmpOptimWrapper
from mmengine.registry import HOOKS
from torch import Tensor

from infopro_seg.errors import DivergedError

SHOWN = 6  # names in a message
LOWEST_SCALE = 1.0  # above this scale, an overflow may come from the scaled loss


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stops a training after several iterations in a row with NaN or infinite losses; saves no such weights.

    It reads the values that mmengine has fetched for the log, so it does not wait for the GPU again. In mixed
    precision, iterations whose step is skipped while the loss scale is lowered do not count.

    Args:
        patience: number of such iterations in a row that end the training.
    """

    priority = 'HIGH'  # after mmengine's RuntimeInfoHook, which fetches the losses; before what saves

    def __init__(self, patience: int = 5) -> None:
        self.patience = patience
        self.in_a_row = 0

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Checks the losses of the iteration.

        Raises:
            DivergedError: `patience` iterations in a row had losses that are not finite.
        """
        bad = {name: value for name, value in _losses(runner, outputs) if not math.isfinite(value)}
        if not bad:
            self.in_a_row = 0
            return
        scale = _loss_scale(runner.optim_wrapper)
        if scale is not None and scale > LOWEST_SCALE:
            return
        self.in_a_row += 1
        found = _listed(f'{name} {value}' for name, value in bad.items())
        if self.in_a_row == 1:
            runner.logger.warning(f'iteration {runner.iter + 1} has losses that are not finite: {found}')
        if self.in_a_row >= self.patience:
            raise DivergedError(
                f'the losses of {_modules(bad)} are not finite in {self.in_a_row} iterations in a row, up to '
                f'{runner.iter + 1}: {found}. {_remedy(runner)}'
            )

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Prevents weights that are not finite from replacing good ones.

        Raises:
            DivergedError: weights are not finite, or statistics are NaN.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        bad = _not_finite(model)
        if bad:
            raise DivergedError(
                f'{len(bad)} weights are not finite after iteration {runner.iter}, and are not saved: '
                f'{_listed(bad)}. {_remedy(runner)}'
            )


def _losses(runner: Any, outputs: Any) -> Iterable[tuple[str, float]]:
    """Names and values of the losses, from the log if it has them already."""
    scalars = runner.message_hub.log_scalars
    for name, value in (outputs or {}).items():
        logged = scalars.get(f'train/{name}')
        yield name, float(value if logged is None else logged.current())


def _loss_scale(optim_wrapper: Any) -> float | None:
    """The loss scale, if it is adaptive."""
    scaler = getattr(optim_wrapper, 'loss_scaler', None)
    if not isinstance(optim_wrapper, AmpOptimWrapper) or scaler is None or not scaler.is_enabled():
        return None
    return float(scaler.get_scale())


def _not_finite(model: torch.nn.Module) -> list[str]:
    """Names of the parameters with a value that is not finite, and of the buffers with a NaN.

    A buffer may contain infinities, e.g. an attention mask.
    """
    named: list[tuple[str, Tensor, Any]] = [
        *((name, p, lambda p: ~torch.isfinite(p)) for name, p in model.named_parameters()),
        *((name, b, torch.isnan) for name, b in model.named_buffers()),
    ]
    named = [item for item in named if item[1].is_floating_point() and not item[1].is_meta]
    found = [bad(tensor.detach()).any() for _, tensor, bad in named]
    devices = {flag.device for flag in found}
    if not any(torch.stack([f for f in found if f.device == device]).any() for device in devices):
        return []
    return [name for (name, _, _), flag in zip(named, found, strict=True) if flag]


def _modules(losses: Iterable[str]) -> str:
    """The local modules that losses belong to, by their prefix."""
    names = {name.partition('.')[0] for name in losses}
    local = sorted(int(name.removeprefix('local_')) for name in names if name.startswith('local_'))
    parts = [f'local module{"s" * (len(local) > 1)} {", ".join(map(str, local))}'] if local else []
    rest = any(not name.startswith('local_') and name != 'loss' for name in names)
    return ' and '.join(parts + ['the last module'] * rest) or 'the model'


def _remedy(runner: Any) -> str:
    rates = ', '.join(f'{rate[0]:.3g}' for rate in runner.optim_wrapper.get_lr().values() if rate)
    kept = sorted(Path(runner.work_dir).glob('*.pth'), key=lambda path: path.stat().st_mtime)
    saved = f'; checkpoints from before: {_listed(map(str, kept))}' if kept else ''
    return (
        f'The learning rate is {rates}: try a lower one, a longer warmup, optim_wrapper.clip_grad, or no '
        f'mixed precision, and check images and labels (tools/check_dataset.py){saved}'
    )


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ', '.join(names[:SHOWN]) + (', ...' if len(names) > SHOWN else '')
