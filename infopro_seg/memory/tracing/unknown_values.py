"""Stands in for values that fake tensors do not have, assuming the costliest case."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten
FILLS = {
    aten.uniform_.default,
    aten.normal_.default,
    aten.zero_.default,
    aten.fill_.Scalar,
}


def answer_without_values(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any] | None:
    """The result of an operation whose outcome depends on values; None for every other operation.

    Masks count as true everywhere (mmseg's `accuracy` then keeps every pixel, as it nearly does on
    labelled images), and take the memory that a GPU would take for their indices.
    """
    if func in FILLS:
        return (args[0],)  # nothing to compute and nothing to allocate
    if func is aten._local_scalar_dense.default:
        dtype = args[0].dtype
        constant = getattr(args[0], 'constant', None)
        if constant is not None:
            return None
        return (1.0 if dtype.is_floating_point else False if dtype == torch.bool else 0,)
    if func is aten.equal.default:
        return (True,)
    if func is aten.nonzero.default:
        return (_indices(args[0]),)
    if func is aten.masked_select.default:
        return (args[0].reshape(-1).clone(),)
    if func is aten.index.Tensor and any(_is_mask(index) for index in args[1]):
        indices: list[Tensor | None] = []
        for index in args[1]:
            indices.extend(_indices(index).unbind(1) if _is_mask(index) else [index])
        return (func(args[0], indices),)
    if func is aten.linspace.default:
        return (_constant(func, args, kwargs),)
    return None


def _is_mask(index: Any) -> bool:
    return isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8)


def _indices(mask: Tensor) -> Tensor:
    return torch.empty((mask.numel(), mask.dim()), dtype=torch.int64, device=mask.device)


def _constant(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A fake tensor with values: encoders read the rates of stochastic depth from one."""
    from torch._subclasses.fake_tensor import unset_fake_temporarily
    from torch.utils._python_dispatch import _get_current_dispatch_mode

    mode: Any = _get_current_dispatch_mode()
    with unset_fake_temporarily():
        real = func(*args, **kwargs)
    if mode is None or not hasattr(mode, 'fake_tensor_converter'):
        return real
    return mode.fake_tensor_converter.from_real_tensor(mode, real, make_constant=True)
