"""Mixed precision on a CPU, which mmengine's own wrapper rejects."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from mmengine.runner import autocast
from torch import nn

from infopro_seg.errors import ConfigError


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """`OptimWrapper` with bfloat16 autocast on the CPU; needs no loss scaling."""

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast for the forward passes of `model`."""
        with super().optim_context(model), autocast(device_type='cpu', dtype=torch.bfloat16):
            yield


def use_amp(optim_wrapper: dict[str, Any]) -> dict[str, Any]:
    """The config of an optimizer wrapper, changed to mixed precision for the current device.

    Args:
        optim_wrapper: config of an `OptimWrapper`; one already in mixed precision is kept.

    Raises:
        ConfigError: the wrapper has another type, or a type that does not run on this device.
    """
    kind = optim_wrapper.get('type', OptimWrapper)
    found = OPTIM_WRAPPERS.get(kind) if isinstance(kind, str) else kind
    on_gpu = torch.cuda.is_available()
    if found is OptimWrapper or (found is CPUAmpOptimWrapper and on_gpu):
        given = {**optim_wrapper, 'loss_scale': 'dynamic'} if on_gpu else optim_wrapper
        return {**given, 'type': 'AmpOptimWrapper' if on_gpu else 'CPUAmpOptimWrapper'}
    if not inspect.isclass(found) or not issubclass(found, (AmpOptimWrapper, CPUAmpOptimWrapper)):
        raise ConfigError(
            f'--amp does not know how to make the {kind} of optim_wrapper train in mixed precision; write '
            "type='OptimWrapper' there, or leave --amp out"
        )
    return optim_wrapper
