"""Goes back to the last completed iteration after a fault in the next one."""

from __future__ import annotations

from collections import defaultdict
from types import TracebackType
from typing import Any, Self

import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapperDict
from torch import Tensor


class UntouchedStep:
    """Parameters and optimizer state before a step, to see whether the step has changed anything.

    Every change of a tensor raises its version number, which can be read without copying and without waiting
    for the GPU.

    Args:
        optimizer: one of torch's own, before its step.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer
        self.states = {parameter: dict(state) for parameter, state in optimizer.state.items()}
        parameters = [p for group in optimizer.param_groups for p in group['params']]
        values = [value for state in self.states.values() for value in state.values()]
        tensors = [*parameters, *(value for value in values if isinstance(value, Tensor))]
        self.versions = [(tensor, tensor._version) for tensor in tensors]

    def restore(self) -> bool:
        """Removes new state that the step has added, if the step has changed nothing else.

        Returns:
            Whether the step had changed nothing else; if it had, nothing is removed.
        """
        if any(tensor._version != version for tensor, version in self.versions):
            return False
        self.optimizer.state.clear()
        self.optimizer.state.update(self.states)
        return True


class Rollback:
    """Encloses a train step; if it fails before its optimizer step, undoes what it has changed.

    These are BN statistics, other buffers, and gradients. Buffers are small and are copied before each step,
    with one call per type. Gradients are copied only if some wait for their step (`accumulative_counts`), to
    the CPU and without waiting. Parameters need no copy, because only the optimizer changes them. A step of
    torch's own optimizers is also undone if it fails before it changes anything, for example because there
    is no memory for its state. A step that has begun to change weights is not undone.

    Args:
        runner: the runner, whose model and optimizer are built when the first step begins.
    """

    def __init__(self, runner: Any) -> None:
        self.runner = runner
        self.undone = True  # whether the model is as it was before the step
        self._watched: Any = None
        self._buffers: dict[Any, list[Tensor]] = {}
        self._copies: dict[Any, list[Tensor]] = {}
        self._gradients: dict[str, Tensor] = {}
        self._pending: list[str] = []
        self._untouched: UntouchedStep | None = None

    @property
    def _model(self) -> Any:
        model = self.runner.model
        return model.module if is_model_wrapper(model) else model

    def __enter__(self) -> Self:
        self._watch(self.runner.optim_wrapper)
        self.undone = True
        self._untouched = None
        with torch.no_grad():
            self._copy_buffers()
            self._copy_gradients()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        step, self._untouched = self._untouched, None
        if error is None or not (self.undone or (step is not None and step.restore())):
            self.undone = False
            return
        self.undone = False
        with torch.no_grad():
            for key, copies in self._copies.items():
                torch._foreach_copy_(self._buffers[key], copies)
            for name, parameter in self._model.named_parameters():
                if name in self._pending and parameter.grad is not None:
                    parameter.grad.copy_(self._gradients[name])
                else:
                    parameter.grad = None
        self.undone = True

    def _watch(self, optim_wrapper: Any) -> None:
        """Makes every optimizer report when its step begins."""
        if optim_wrapper is self._watched:
            return
        several = isinstance(optim_wrapper, OptimWrapperDict)
        for wrapper in optim_wrapper.values() if several else [optim_wrapper]:
            wrapper.optimizer.register_step_pre_hook(self._begins)
        self._watched = optim_wrapper

    def _begins(self, optimizer: Any, *_: Any) -> None:
        first, self.undone = self.undone, False
        compiled = bool(self.runner.cfg.get('compile'))  # its changes show only at the end
        fused = any(group.get('fused') for group in optimizer.param_groups)  # raises no version
        known = type(optimizer).__module__.startswith('torch.optim.') and not (compiled or fused)
        self._untouched = UntouchedStep(optimizer) if first and known else None

    def _copy_buffers(self) -> None:
        groups: dict[Any, list[Tensor]] = defaultdict(list)
        for buffer in self._model.buffers():
            if not buffer.is_meta:
                groups[buffer.device, buffer.dtype].append(buffer)
        self._buffers = groups
        for key, buffers in groups.items():
            copies = self._copies.get(key, [])
            if [c.shape for c in copies] == [b.shape for b in buffers]:
                torch._foreach_copy_(copies, buffers)
            else:
                self._copies[key] = [buffer.clone() for buffer in buffers]

    def _copy_gradients(self) -> None:
        self._pending = []
        for name, parameter in self._model.named_parameters():
            if parameter.grad is None:
                continue
            copy = self._gradients.get(name)
            if copy is None or copy.shape != parameter.grad.shape:
                pinned = parameter.grad.is_cuda
                copy = torch.empty_like(parameter.grad, device='cpu', pin_memory=pinned)
                self._gradients[name] = copy
            copy.copy_(parameter.grad, non_blocking=True)
            self._pending.append(name)
