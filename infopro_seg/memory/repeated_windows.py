"""Traces a network on few of the sliding windows of an image: the others take the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from infopro_seg.memory.storages import StorageTracker

SmallLogits = Callable[[Tensor, list[dict[str, Any]]], Tensor]


@dataclass(frozen=True)
class Taken:
    """What windows take.

    Args:
        bytes: the most that is alive while they are computed, beyond what was alive before.
        shape: of their logits.
        dtype: of their logits.
    """

    bytes: int
    shape: torch.Size
    dtype: torch.dtype


def repeated(compute: SmallLogits, tracker: StorageTracker) -> SmallLogits:
    """A network that runs twice on windows of each shape; from then on it only counts what they take.

    An image has hundreds of windows, thousands with scales and flips, and to trace a network takes about a
    second. The first run is no measure: autocast keeps the weights that it converts.

    Args:
        compute: the network's `small_logits`.
        tracker: follows the trace.
    """
    first: set[torch.Size] = set()
    known: dict[torch.Size, Taken] = {}

    def small_logits(windows: Tensor, metas: list[dict[str, Any]]) -> Tensor:
        shape = windows.shape
        if shape in known:
            taken, phase = known[shape], tracker.phases[-1]
            phase.peak = max(phase.peak, tracker.live + taken.bytes)
            return windows.new_empty(taken.shape, dtype=taken.dtype)
        phase = tracker.begin('windows')
        logits = compute(windows, metas)
        if shape in first:
            known[shape] = Taken(phase.peak - phase.start, logits.shape, logits.dtype)
        first.add(shape)
        return logits

    return small_logits
