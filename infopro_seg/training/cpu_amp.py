"""Mixed precision where mmengine's own refuses: on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from mmengine.runner import autocast
from torch import nn


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """`OptimWrapper` with bfloat16 autocast on the CPU; needs no loss scaling."""

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast for the forward passes of `model`."""
        with super().optim_context(model), autocast(device_type='cpu', dtype=torch.bfloat16):
            yield


def use_amp(optim_wrapper: dict[str, Any]) -> dict[str, Any]:
    """An optimizer wrapper's config in mixed precision, for the device at hand.

    Args:
        optim_wrapper: config of an `OptimWrapper`; one already in mixed precision is kept.
    """
    kind = optim_wrapper.get('type', 'OptimWrapper')
    if kind != 'OptimWrapper':
        return optim_wrapper
    if torch.cuda.is_available():
        return {**optim_wrapper, 'type': 'AmpOptimWrapper', 'loss_scale': 'dynamic'}
    return {**optim_wrapper, 'type': 'CPUAmpOptimWrapper'}
