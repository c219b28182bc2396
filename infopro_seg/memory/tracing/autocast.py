"""CUDA's autocast rules for tensors on the CPU."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

DTYPES = {'fp16': torch.float16, 'bf16': torch.bfloat16}
MIXED = {torch.float32, *DTYPES.values()}
FUSED = {  # CUDA's kernels that read float16 and write float32
    torch.ops.aten.softmax.int: torch.ops.aten._softmax.default,
    torch.ops.aten.log_softmax.int: torch.ops.aten._log_softmax.default,
}
# Where CUDA's autocast differs from the CPU's, from torch's "CUDA Op-Specific Behavior".
FLOAT32 = (  # inputs are cast to float32
    *('acos', 'asin', 'cosh', 'erfinv', 'exp', 'expm1', 'log', 'log10', 'log1p', 'log2', 'sinh', 'tan'),
    *('pow.Scalar', 'pow.Tensor_Scalar', 'pow.Tensor_Tensor', 'reciprocal', 'rsqrt', 'softplus', 'logsumexp'),
    *('layer_norm', 'native_layer_norm', 'group_norm', 'rms_norm', 'renorm', 'frobenius_norm.dim'),
    *('nuclear_norm', 'nuclear_norm.dim', 'cosine_similarity', 'dist', 'pdist'),
    *('upsample_linear1d', 'upsample_bilinear2d', 'upsample_bicubic2d', 'upsample_trilinear3d'),
    *('upsample_nearest1d', 'upsample_nearest2d', 'upsample_nearest3d', '_upsample_nearest_exact1d'),
    *('_upsample_nearest_exact2d', '_upsample_nearest_exact3d', '_upsample_bilinear2d_aa'),
    '_upsample_bicubic2d_aa',
)
FLOAT32_RESULT = (  # the result is float32 by an argument `dtype`, without a copy of the inputs
    *(
        'softmax.int',
        'log_softmax.int',
        'sum',
        'sum.dim_IntList',
        'prod',
        'prod.dim_int',
        'cumsum',
        'cumprod',
    ),
    *('linalg_vector_norm', 'linalg_matrix_norm', 'linalg_matrix_norm.str_ord'),
)
LOW = ('einsum', 'mv', 'addmv', 'addr', 'chain_matmul', 'linalg_multi_dot')  # cast to the lower precision
WIDEST = (  # cast to the highest precision among the inputs
    *('grid_sampler', 'index_put', 'scatter_add', 'addcdiv', 'addcmul', 'atan2', 'bilinear', 'cross', 'dot'),
    *('tensordot', 'vdot'),
)
UNTOUCHED = (  # no rule at all
    *('cat', 'stack', 'index_copy', 'cross_entropy_loss', 'reflection_pad1d', 'reflection_pad2d'),
    *('replication_pad1d', 'replication_pad2d', 'replication_pad3d', 'avg_pool3d', 'adaptive_avg_pool3d'),
    *('max_pool3d', 'adaptive_max_pool3d', 'max_unpool2d', 'max_unpool3d', 'grid_sampler_2d'),
    *('grid_sampler_3d', 'trace'),
)


@contextmanager
def cuda_rules() -> Iterator[None]:
    """Gives the CPU's autocast the rules of CUDA's, until the context ends.

    Fake tensors on 'cuda' need a PyTorch built for CUDA, so all traces run on fake CPU tensors. Autocast must
    treat them as it treats tensors on the GPU, or half the bytes would be wrong.
    """
    library: Any = torch.library.Library('aten', 'IMPL')  # type: ignore[no-untyped-call]
    rules: dict[tuple[str, ...], Callable[[Any], Any]] = {
        FLOAT32: partial(_cast, _float32),
        FLOAT32_RESULT: _ask_for_float32,
        LOW: partial(_cast, _low),
        WIDEST: partial(_cast, _widest),
        UNTOUCHED: lambda op: torch.library.fallthrough_kernel,
    }
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # torch warns that these replace the CPU's own rules
        for names, make in rules.items():
            for name in names:
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


def _cast(choose: Callable[[set[torch.dtype]], torch.dtype], op: Any) -> Callable[..., Any]:
    """An operation that first casts its inputs to the type that `choose` picks from their types."""

    def run(*args: Any, **kwargs: Any) -> Any:
        with _without_autocast():
            found = {leaf.dtype for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
            dtype = choose(found)

            def cast(tensor: Tensor) -> Tensor:
                return tensor.to(dtype) if tensor.dtype in MIXED else tensor

            args, kwargs = tree_map_only(Tensor, cast, (args, kwargs))
            return op(*args, **kwargs)

    return run


def _float32(found: set[torch.dtype]) -> torch.dtype:
    return torch.float32


def _low(found: set[torch.dtype]) -> torch.dtype:
    return torch.get_autocast_dtype('cpu')


def _widest(found: set[torch.dtype]) -> torch.dtype:
    return torch.float32 if torch.float32 in found else torch.get_autocast_dtype('cpu')


def _ask_for_float32(op: Any) -> Callable[..., Any]:
    fused = FUSED.get(op)

    def run(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        with _without_autocast():
            names = [argument.name for argument in op._schema.arguments[1 : 1 + len(args)]]
            kwargs = {**dict(zip(names, args, strict=True)), **kwargs}
            if tensor.dtype in DTYPES.values() and kwargs.get('dtype') is None:
                if fused is not None and tensor.dtype == torch.float16:
                    return fused(tensor, kwargs['dim'], True)
                kwargs['dtype'] = torch.float32
            return op(tensor, **kwargs)

    return run


def _without_autocast() -> Any:
    keys = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU)
    return torch._C._ExcludeDispatchKeyGuard(keys)
