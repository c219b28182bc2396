"""Stand-ins for the neighbours of a piece that is measured alone: the pieces before and after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only


def fresh(state: Any, attached: Any) -> Any:
    """New tensors of the same sizes; attached ones require gradients, as if an earlier piece had made them.

    Args:
        state: tensors in any nesting, or a dict of such states.
        attached: whether the tensors are attached; for a dict, the set of keys whose states are.
    """
    if isinstance(attached, set):
        return {key: fresh(value, key in attached) for key, value in state.items()}

    def make(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point() or not attached:
            return torch.empty_like(tensor)
        made: Tensor = _source(torch.zeros((), requires_grad=True), tensor)
        return made

    return tree_map_only(Tensor, make, state)


def trains(leaf: Any) -> bool:
    """Whether a leaf of an output takes a gradient."""
    return isinstance(leaf, Tensor) and leaf.requires_grad


def sink(tensors: Sequence[Tensor]) -> Tensor:
    """A scalar whose backward pass gives each tensor its own gradient, as the next piece would."""
    root: Tensor = _sink(*tensors)
    return root


class _Source(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, seed: Tensor, like: Tensor) -> Tensor:
        return torch.empty_like(like)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return torch.zeros(()), None


class _Sink(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> Tensor:
        ctx.shapes = [(t.shape, t.dtype) for t in tensors]
        return torch.zeros(())

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return tuple(torch.empty(shape, dtype=dtype) for shape, dtype in ctx.shapes)


_source: Any = _Source.apply
_sink: Any = _Sink.apply
