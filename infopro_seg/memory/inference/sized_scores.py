"""Stand-ins for score tensors: they know only layout and owner of the memory, so they are quick to trace."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from infopro_seg.logit_maps.array_maths import as_single, blend_rows, resize_columns, zeros
from infopro_seg.memory.tracing.storages import StorageTracker


@dataclass(frozen=True)
class Layout:
    """Shape, strides, type and device of a tensor."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def of(cls, tensor: Tensor) -> Layout:
        """The layout of a tensor."""
        return cls(tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.device)

    def uncounted(self, tracker: StorageTracker) -> Tensor:
        """A new tensor of this layout, whose bytes the tracker does not count."""
        with tracker.paused():
            return torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device=self.device)


@dataclass(frozen=True)
class Computation:
    """The memory of a computation, and the layout of its result.

    Args:
        peak: peak bytes while it runs, above those alive before it.
        kept: bytes of its result; 0 if the result is a view of its input.
        layout: the layout of its result.
    """

    peak: int
    kept: int
    layout: Layout


class HeldBytes:
    """Bytes that count as alive as long as this object is alive."""

    def __init__(self, tracker: StorageTracker, size: int) -> None:
        self.tracker, self.size = tracker, size
        tracker.live += size

    def __del__(self) -> None:
        self.tracker.live -= self.size


class Repeats:
    """The computations traced so far, which are not traced again.

    Args:
        tracker: follows the trace.
    """

    def __init__(self, tracker: StorageTracker) -> None:
        self.tracker = tracker
        self.known: dict[Hashable, Computation] = {}

    def measure(self, compute: Callable[[], Any]) -> tuple[Computation, Any]:
        """Traces a computation; returns its memory, and its result: a tensor, or several of one layout."""
        phase = self.tracker.begin('repeated')
        result = compute()
        one = result if isinstance(result, Tensor) else result[0]
        return Computation(phase.peak - phase.start, self.tracker.live - phase.start, Layout.of(one)), result

    def stand_for(self, tensors: Iterable[Tensor]) -> list[SizedScores]:
        """Stand-ins for tensors, each of which owns its tensor."""
        return [SizedScores(Layout.of(tensor), tensor, self) for tensor in tensors]

    def replay(self, known: Computation, owner: Any = None) -> SizedScores:
        """Counts a known computation, and returns a stand-in for its result.

        Args:
            known: the computation.
            owner: owner of the memory of its input, which a view keeps.
        """
        phase = self.tracker.phases[-1]
        phase.peak = max(phase.peak, self.tracker.live + known.peak)
        return SizedScores(known.layout, HeldBytes(self.tracker, known.kept) if known.kept else owner, self)


class SizedScores:
    """Stands for the scores of a map of logits, see :mod:`infopro_seg.logit_maps.row_maps`.

    It has the operations that such maps use. Even on a fake tensor an operation takes about half a
    millisecond; here each runs once for each layout.

    Args:
        layout: layout of the tensor that it stands for.
        owner: an object that lives as long as its memory.
        repeats: the operations traced so far.
    """

    def __init__(self, layout: Layout, owner: Any, repeats: Repeats) -> None:
        self.layout, self.owner, self.repeats = layout, owner, repeats
        self.shape = layout.shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> SizedScores:
        """A part, by slices without a step; it is a view, so it has the same owner."""
        index = index if isinstance(index, tuple) else (index,)
        if index[0] is Ellipsis:
            index = (slice(None),) * (len(self.shape) - len(index) + 1) + index[1:]
        index += (slice(None),) * (len(self.shape) - len(index))
        shape = tuple(
            len(range(*part.indices(length))) for length, part in zip(self.shape, index, strict=True)
        )
        layout = Layout(shape, self.layout.stride, self.layout.dtype, self.layout.device)
        return SizedScores(layout, self.owner, self.repeats)

    def __setitem__(self, index: Any, value: Any) -> None:
        """Writes in place, which takes no memory; the same holds for the operations below."""

    def _in_place(self, other: Any) -> SizedScores:
        return self

    __iadd__ = __itruediv__ = add_ = div_ = _in_place

    def computed(self, function: Callable[..., Tensor], *args: Any, key: Hashable = None) -> SizedScores:
        """A stand-in for the result of a function of a tensor.

        Args:
            function: takes the tensor, then `args`.
            args: the other arguments.
            key: what its memory depends on besides the layout; by default `args`.
        """
        at = (function, self.layout, args if key is None else key)
        if at not in self.repeats.known:
            tensor = self.layout.uncounted(self.repeats.tracker)
            self.repeats.known[at] = self.repeats.measure(lambda: function(tensor, *args))[0]
        return self.repeats.replay(self.repeats.known[at], self.owner)

    def flip(self, axis: int) -> SizedScores:
        """The scores flipped."""
        return self.computed(Tensor.flip, axis)

    def softmax(self, axis: int) -> SizedScores:
        """The softmax of the scores."""
        return self.computed(Tensor.softmax, axis)

    def sigmoid(self) -> SizedScores:
        """The sigmoid of the scores."""
        return self.computed(Tensor.sigmoid)

    def tensor(self) -> Tensor:
        """A fake tensor with this layout and memory."""
        tensor = self.layout.uncounted(self.repeats.tracker)
        tensor.owner = self.owner  # type: ignore[attr-defined]  # its bytes count as long as the tensor lives
        return tensor


@as_single.register(SizedScores)
def _(rows: SizedScores) -> SizedScores:
    return rows.computed(as_single)


@blend_rows.register(SizedScores)
def _(rows: SizedScores, before: np.ndarray, after: np.ndarray, share: np.ndarray) -> SizedScores:
    return rows.computed(blend_rows, before, after, share, key=len(before))


@resize_columns.register(SizedScores)
def _(rows: SizedScores, width: int, align_corners: bool) -> SizedScores:
    return rows.computed(resize_columns, width, align_corners)


@zeros.register(SizedScores)
def _(like: SizedScores, shape: tuple[int, ...]) -> SizedScores:
    return like.computed(zeros, shape)
