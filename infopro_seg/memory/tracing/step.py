"""Traces one training step on fake tensors: bytes and FLOPs of each local module."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from infopro_seg.memory.tracing.autocast import autocast
from infopro_seg.memory.tracing.fake_model import build_model, build_optimizer, fake_batch, fake_tensors
from infopro_seg.memory.tracing.storages import ELSEWHERE, Phase, StorageTracker, storage_bytes
from infopro_seg.tasks import is_classifier


@dataclass(frozen=True)
class ModuleTrace:
    """The bytes and FLOPs of one local module in a training step.

    Args:
        blocks: names of its blocks; empty if the model is not split.
        held: bytes alive when its forward pass begins: the model's state, gradients of earlier modules, and
            what stays alive between modules (image, labels, the state at the cut, outputs that heads read).
        forward_peak: peak bytes during its forward pass, including `held`.
        backward_peak: peak bytes during its backward pass, including `held`.
        forward_flops: floating-point operations of its forward pass.
        backward_flops: floating-point operations of its backward pass, including recomputation.
    """

    blocks: tuple[str, ...]
    held: int
    forward_peak: int
    backward_peak: int
    forward_flops: int
    backward_flops: int

    @property
    def peak(self) -> int:
        """The most bytes alive while the module trains."""
        return max(self.forward_peak, self.backward_peak)


@dataclass(frozen=True)
class StepTrace:
    """The bytes and FLOPs of one training step, after the first one has created the optimizer's state.

    Args:
        modules: the local modules in order; a single one for end-to-end training.
        optimizer_peak: the most bytes alive during the optimizer's step.
        parameters: bytes of the parameters on the device, frozen ones included.
        buffers: bytes of the buffers on the device.
        gradients: bytes of the parameters' gradients when the optimizer steps.
        optimizer_state: bytes of the optimizer's state.
        seconds: duration of the trace.
    """

    modules: tuple[ModuleTrace, ...]
    optimizer_peak: int
    parameters: int
    buffers: int
    gradients: int
    optimizer_state: int
    seconds: float

    @property
    def peak(self) -> int:
        """The most bytes alive at any time of the step."""
        return max(self.optimizer_peak, *(module.peak for module in self.modules))

    @property
    def flops(self) -> int:
        """Floating-point operations of the step's forward and backward passes (a multiplication and an
        addition are two)."""
        return sum(module.forward_flops + module.backward_flops for module in self.modules)


def trace_step(
    cfg: Any,
    batch: int,
    crop: tuple[int, int],
    amp: str | None = None,
    optimizer: dict[str, Any] | None = None,
    accumulation: int = 1,
) -> StepTrace:
    """Traces one training step of a config: its real `train_step`, on fake tensors, without a GPU.

    The bytes correspond to `torch.cuda.max_memory_allocated`, except for what a trace cannot see; see
    :class:`infopro_seg.memory.tracing.storages.StorageTracker`. SyncBN is traced as BN, which holds the same
    tensors except for a few per channel. Gradient scaling and clipping work in place and are left out.
    Boolean masks count as true everywhere. With a `stage` of the backbone, only tensors on the GPU count.

    Args:
        cfg: a config with `model`, or the model's config itself.
        batch: images per step and process.
        crop: height and width of the training images, in pixels.
        amp: 'fp16' or 'bf16' for autocast to it, None for float32.
        optimizer: config of the optimizer; None for that of the config, or SGD with momentum.
        accumulation: iterations per optimizer step; from two on, gradients are alive throughout the step.

    Raises:
        UserError: the model asks for values, which a fake tensor does not have.
        ConfigError: the model cannot be built.
    """
    start = time.perf_counter()
    with fake_tensors() as tracker:
        model = build_model(cfg, crop)
        wrapper = PhasedOptimWrapper(
            build_optimizer(cfg, model, optimizer), tracker, amp, min(accumulation, 2)
        )
        for _ in range(min(accumulation, 2)):
            del tracker.phases[:-1]
            model.train_step(fake_batch(batch, crop, tracker, is_classifier(cfg)), wrapper)
        state = [t for s in wrapper.optimizer.state.values() for t in s.values() if isinstance(t, Tensor)]
        return StepTrace(
            modules=tuple(_modules(tracker.phases, _block_names(model))),
            optimizer_peak=max(phase.peak for phase in tracker.phases if phase.name == 'optimizer'),
            parameters=storage_bytes(_on_device(model.parameters())),
            buffers=storage_bytes(_on_device(model.buffers())),
            gradients=wrapper.gradients,
            optimizer_state=storage_bytes(state),
            seconds=time.perf_counter() - start,
        )


class PhasedOptimWrapper(OptimWrapper):
    """Tells a tracker when forward, backward and optimizer step begin.

    It also replaces `AmpOptimWrapper`, which needs a GPU.

    Args:
        optimizer: the optimizer, with its state.
        tracker: the tracker to tell.
        amp: precision of the forward passes, see :func:`trace_step`.
        accumulation: iterations per optimizer step.
    """

    def __init__(
        self, optimizer: Any, tracker: StorageTracker, amp: str | None = None, accumulation: int = 1
    ) -> None:
        super().__init__(optimizer, accumulative_counts=accumulation)
        self.tracker = tracker
        self.amp = amp
        self.gradients = 0

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The context of a forward pass."""
        with super().optim_context(model), autocast(self.amp):
            self.tracker.begin('forward')
            yield

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """The backward pass of one module."""
        self.tracker.begin('backward')
        super().backward(loss, **kwargs)
        self.tracker.begin('between')

    def step(self, **kwargs: Any) -> None:
        """The optimizer's step."""
        parameters = [p for group in self.optimizer.param_groups for p in group['params']]
        self.gradients = storage_bytes(p.grad for p in parameters if p.grad is not None)
        self.tracker.begin('optimizer')
        super().step(**kwargs)


def _on_device(tensors: Iterable[Tensor]) -> list[Tensor]:
    return [tensor for tensor in tensors if tensor.device != ELSEWHERE]


def _block_names(model: Any) -> list[tuple[str, ...]]:
    local_modules = getattr(getattr(model, 'backbone', None), 'local_modules', None)
    if local_modules is None:
        return [()]
    names = [tuple(block.name for block in blocks) for blocks in local_modules()]
    turn = model.backbone.turn
    return names if turn is None else [names[turn]]


def _modules(phases: Sequence[Phase], names: Sequence[tuple[str, ...]]) -> Iterator[ModuleTrace]:
    """Groups phases by module: a backward phase, and the forward phases since the last one."""
    forward: list[Phase] = []
    blocks = iter(names)
    for phase in phases:
        if phase.name == 'forward':
            forward.append(phase)
        elif phase.name == 'backward':
            yield ModuleTrace(
                blocks=next(blocks, ()),
                held=forward[-1].start,
                forward_peak=max(part.peak for part in forward),
                backward_peak=phase.peak,
                forward_flops=sum(part.flops for part in forward),
                backward_flops=phase.flops,
            )
            forward = []
