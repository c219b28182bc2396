"""The costs of a chain at other crops, from two that were measured."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from infopro_seg.memory.costs import Chain


def chain_at(pixels: int, low: tuple[int, Chain], high: tuple[int, Chain]) -> Chain:
    """The costs of a chain at a crop of so many pixels.

    Every cost is a constant (parameters, gradients) plus a share of the pixels (activations, FLOPs), as
    long as feature maps have whole sizes: choose crops that the encoder's stride divides.

    Args:
        pixels: height times width.
        low: pixels and chain of a crop that was measured.
        high: those of a larger one.
    """
    share = (pixels - low[0]) / (high[0] - low[0])
    mixed: Chain = _mix(low[1], high[1], share)
    return mixed


def _mix(low: Any, high: Any, share: float) -> Any:
    if isinstance(low, int) and not isinstance(low, bool):
        return round(low + (high - low) * share)
    if is_dataclass(low) and not isinstance(low, type):
        pairs = {f.name: (getattr(low, f.name), getattr(high, f.name)) for f in fields(low)}
        keep = ('outputs', 'optimizer_share', 'accumulated', 'name')
        return type(low)(**{k: a if k in keep else _mix(a, b, share) for k, (a, b) in pairs.items()})
    if isinstance(low, dict):
        return {key: _mix(value, high[key], share) for key, value in low.items()}
    if isinstance(low, tuple):
        return tuple(_mix(a, b, share) for a, b in zip(low, high, strict=True))
    return low
