"""Follows the storages that are alive while a training step runs."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from infopro_seg.memory.tracing.flops import count_flops
from infopro_seg.memory.tracing.unknown_values import answer_without_values

DEVICE = torch.ops.prim.device.default
ELSEWHERE = torch.device('meta')
ALLOCATION = 512  # bytes; CUDA's caching allocator rounds every request up to a multiple of it


@dataclass
class Phase:
    """A part of a step: live bytes at its start, its peak, and its FLOPs."""

    name: str
    start: int
    peak: int
    flops: int = 0


class StorageTracker(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts live bytes and FLOPs of every operation that runs under it.

    It counts what `torch.cuda.memory_allocated` would report: each storage that an operation returns, until
    its last owner releases it. It does not see memory that a kernel takes and frees within one operation
    (cuDNN's workspaces, the scratch space of sorts), or overhead of the caching allocator (fragmentation,
    the CUDA context). Storages that existed before it was entered do not count, nor do those on the device
    `meta`, which represents other memory.

    Args:
        granularity: bytes; allocations are rounded up to a multiple of them.
        values: whether the tensors are real and have values.
    """

    def __init__(self, granularity: int = ALLOCATION, values: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.granularity = granularity
        self.values = values
        self.live = 0
        self.phases = [Phase('start', 0, 0)]
        self._alive: dict[int, weakref.ref[Any]] = {}
        self._watching = True

    @property
    def peak(self) -> int:
        """The most bytes alive at any time so far."""
        return max(phase.peak for phase in self.phases)

    def begin(self, name: str) -> Phase:
        """Begins a phase, which lasts until the next."""
        self.phases.append(Phase(name, self.live, self.live))
        return self.phases[-1]

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A context whose new storages never count, as if they were on the CPU."""
        self._watching = False
        try:
            yield
        finally:
            self._watching = True

    def follow(self, tensors: Iterable[Tensor]) -> None:
        """Counts tensors that were created before the tracker was entered."""
        for tensor in tensors:
            self._watch(tensor)

    def rounded(self, tensor: Tensor) -> int:
        """The bytes that a tensor's storage takes."""
        return -(-tensor.untyped_storage().nbytes() // self.granularity) * self.granularity

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is DEVICE and isinstance(args[0], FakeTensor):
            return args[0].fake_device  # the same as its own, slower answer; autograd asks at every step
        kwargs = kwargs or {}
        known = accumulate_in_place(func, args)
        if known is None and not self.values:
            known = answer_without_values(func, args, kwargs)
        out = func(*args, **kwargs) if known is None else known[0]
        self.phases[-1].flops += count_flops(func._overloadpacket, args, kwargs, out)
        if isinstance(out, Tensor):
            self._watch(out)
        else:
            for leaf in tree_leaves(out):
                if isinstance(leaf, Tensor):
                    self._watch(leaf)
        return out

    def _watch(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._alive:
            return
        elsewhere = tensor.device == ELSEWHERE
        size = self.rounded(tensor) if self._watching and not elsewhere else 0
        self._alive[key] = weakref.ref(storage, self._on_free(key, size))
        self.live += size
        phase = self.phases[-1]
        phase.peak = max(phase.peak, self.live)

    def _on_free(self, key: int, size: int) -> Callable[[Any], None]:
        def free(_: Any) -> None:
            self._alive.pop(key, None)
            self.live -= size

        return free


def accumulate_in_place(func: Any, args: tuple[Any, ...]) -> tuple[Any] | None:
    """Adds the second gradient of a tensor that was used twice into the first one, as autograd's engine does.

    The engine does not do so for subclasses such as fake tensors, nor under a dispatch mode.

    Returns:
        The sum, alone in a tuple; None if the operation is not such an addition.
    """
    if func is not torch.ops.aten.add.Tensor or torch.is_grad_enabled():
        return None
    if torch._C._current_graph_task_id() == -1:
        return None  # not within a backward pass; recomputed forwards have gradients enabled
    first, second = args[:2]
    fits = isinstance(second, Tensor) and first.shape == second.shape and first.dtype == second.dtype
    dense = first.untyped_storage().nbytes() == first.numel() * first.element_size()
    return (first.add_(second),) if fits and dense else None


def storage_bytes(tensors: Any, granularity: int = ALLOCATION) -> int:
    """Bytes of the distinct storages of tensors, each rounded up to the granularity."""
    sizes = {t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}
    return sum(-(-size // granularity) * granularity for size in sizes.values())
