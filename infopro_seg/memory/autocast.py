"""CUDA's autocast rules for tensors that live elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

DTYPES = {'fp16': torch.float16, 'bf16': torch.bfloat16}
# What CUDA runs in float32 and the CPU does not, from torch's "CUDA Op-Specific Behavior". For the first
# kind inputs are cast; the second takes a dtype argument instead.
FLOAT32 = (
    'upsample_bilinear2d',
    'upsample_nearest2d',
    'upsample_bicubic2d',
    'layer_norm',
    'native_layer_norm',
    'group_norm',
    'exp',
    'log',
    'pow.Tensor_Scalar',
    'pow.Tensor_Tensor',
    'rsqrt',
    'reciprocal',
    'softplus',
    'logsumexp',
    'l1_loss',
    'kl_div',
)
FLOAT32_RESULT = ('softmax.int', 'log_softmax.int', 'sum', 'sum.dim_IntList', 'cumsum', 'prod')


@contextmanager
def cuda_rules() -> Iterator[None]:
    """Adds to the CPU's autocast the rules that only CUDA's has, until the context ends.

    Fake tensors on 'cuda' need a PyTorch built for CUDA, so traces run on fake CPU tensors everywhere;
    what autocast does to them has to be what it does on the GPU, or half the bytes would be wrong.
    """
    library: Any = torch.library.Library('aten', 'IMPL')  # type: ignore[no-untyped-call]
    for names, make in ((FLOAT32, _cast_inputs), (FLOAT32_RESULT, _ask_for_float32)):
        for name in names:
            if not torch._C._dispatch_has_kernel_for_dispatch_key(f'aten::{name}', 'AutocastCPU'):
                packet, _, overload = name.partition('.')
                op = getattr(getattr(torch.ops.aten, packet), overload or 'default')
                library.impl(name, make(op), 'AutocastCPU')
    try:
        yield
    finally:
        library._destroy()


@contextmanager
def autocast(amp: str | None) -> Iterator[None]:
    """Autocast to 'fp16' or 'bf16' on the CPU; nothing for None."""
    if amp is None:
        yield
    else:
        with torch.autocast('cpu', DTYPES[amp]):
            yield


def _cast_inputs(op: Any) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        with _without_autocast():
            args, kwargs = tree_map_only(Tensor, _to_float32, (args, kwargs))
            return op(*args, **kwargs)

    return run


def _ask_for_float32(op: Any) -> Callable[..., Any]:
    def run(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        with _without_autocast():
            names = [argument.name for argument in op._schema.arguments[1 : 1 + len(args)]]
            kwargs = {**dict(zip(names, args, strict=True)), **kwargs}
            if tensor.dtype in DTYPES.values() and kwargs.get('dtype') is None:
                kwargs['dtype'] = torch.float32
            return op(tensor, **kwargs)

    return run


def _to_float32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in DTYPES.values() else tensor


def _without_autocast() -> Any:
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU)
    return torch._C._ExcludeDispatchKeyGuard(keys)
