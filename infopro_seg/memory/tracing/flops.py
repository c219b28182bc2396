"""FLOPs of an operator: torch's own counts, with grouped convolutions counted as what they compute."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import conv_flop_count, flop_registry

from infopro_seg.models.recomputation.recompute import keeps

CONV_BACKWARD = torch.ops.aten.convolution_backward


def count_flops(operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    """The floating-point operations of a call; 0 of operators that torch does not count.

    torch counts the gradient of a grouped convolution's weight as if it had no groups. That is too much by
    the number of groups: 960 times in the depthwise convolutions of an EfficientNet.

    Args:
        operator: the operator without its overload, e.g. `torch.ops.aten.mm`.
        args: its positional arguments.
        kwargs: its keyword arguments.
        out: its result.
    """
    if operator is CONV_BACKWARD:
        return _convolution_backward(*args)
    count = flop_registry.get(operator)
    return 0 if count is None else int(count(*args, **kwargs, out_val=out))


def _convolution_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    *rest: Any,
) -> int:
    """The gradients of input and weight each take as much as the forward pass."""
    transposed, _output_padding, _groups, (of_input, of_weight, _of_bias) = rest
    forward = conv_flop_count(list(x.shape), list(weight.shape), list(grad.shape), transposed=transposed)
    return (bool(of_input) + bool(of_weight)) * int(forward)


class RecomputedFlops(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the FLOPs of those operations that run under it and that each policy would recompute.

    Args:
        policies: the policies, all but `none`.
    """

    def __init__(self, policies: Iterable[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops: dict[str, int] = dict.fromkeys(policies, 0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        flops = count_flops(func._overloadpacket, args, kwargs or {}, out)
        for policy in self.flops if flops else ():
            self.flops[policy] += 0 if keeps(policy, func, args) else flops
        return out
