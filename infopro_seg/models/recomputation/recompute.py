"""Recomputation: the backward pass computes again what the forward pass did not keep.

It is also called activation checkpointing. The policies, from the one that keeps most to the one that keeps
least:

- `none`: everything is kept, as usual.
- `norms`: norms, activations and other cheap operations are recomputed; the outputs of convolutions, matrix
  products and attention are kept. It costs some time in memory-bound operations but hardly any FLOPs.
- `expansions`: also recomputes 1x1 convolutions and matrix products that widen their input. They make the
  largest outputs of a bottleneck block or a transformer's MLP with a small share of its FLOPs.
- `blocks`: everything except the input of the block is recomputed, in one more forward pass.

All policies give the same gradients, and norms update their statistics once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache, partial
from typing import Any, Literal, TypeAlias, get_args

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.nn import functional as F

from infopro_seg.models.recomputation.saved_tensors import run_recomputed
from infopro_seg.models.recomputation.selective import selective_contexts

Policy: TypeAlias = Literal['none', 'norms', 'expansions', 'blocks']
POLICIES: tuple[Policy, ...] = get_args(Policy)

_CONVOLUTIONS = {torch.ops.aten.convolution.default}
_PRODUCTS = {torch.ops.aten.mm.default, torch.ops.aten.addmm.default}
_COSTLY = {
    *_CONVOLUTIONS,
    *_PRODUCTS,
    torch.ops.aten.bmm.default,
    torch.ops.aten.baddbmm.default,
    torch.ops.aten._scaled_dot_product_flash_attention.default,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default,
    torch.ops.aten._scaled_dot_product_efficient_attention.default,
    torch.ops.aten._scaled_dot_product_cudnn_attention.default,
}
# Functions without a costly operation: those that change no argument, and those that may change their first.
_READING = {
    F.batch_norm,
    F.layer_norm,
    F.group_norm,
    F.gelu,
    F.interpolate,
    F.adaptive_avg_pool2d,
    torch.add,
    torch.cat,
    torch.mul,
    torch.sigmoid,
    Tensor.add,
    Tensor.__add__,
    Tensor.mul,
    Tensor.__mul__,
    Tensor.dim,
    Tensor.size,
    Tensor.shape.__get__,  # type: ignore[attr-defined]
}
_WRITING = {
    F.relu,
    F.relu6,
    F.silu,
    F.hardswish,
    F.hardtanh,
    Tensor.add_,
    Tensor.__iadd__,
    Tensor.mul_,
    Tensor.__imul__,
}


def recompute(policy: Policy, forward: Callable[..., Any], modules: Iterable[nn.Module], *inputs: Any) -> Any:
    """Runs `forward(*inputs)` and keeps for the backward pass only what the policy says.

    Unlike mmseg's `with_cp`, it also works if no input requires a gradient, as after a cut.

    Args:
        policy: one of the policies above.
        forward: a part of a network; it must not change its inputs in place.
        modules: the modules that it runs; the recomputation must not update their statistics.
        inputs: trees of tensors.
    """
    if policy == 'none' or not torch.is_grad_enabled():
        return forward(*inputs)
    return run_recomputed(forward, inputs, *_contexts(policy, tuple(modules)))


class RecomputedConvModule(ConvModule):
    """mmcv's `ConvModule` that keeps only the convolution's output.

    This saves memory if the next operation does not keep the activation itself, such as a concatenation or
    an upsampling.
    """

    @classmethod
    def of(cls, module: ConvModule) -> RecomputedConvModule:
        """Makes one with the layers, weights and hooks of another module, to replace it."""
        made = cls.__new__(cls)
        made.__dict__.update(module.__dict__)
        return made

    def forward(self, x: Any, activate: bool = True, norm: bool = True) -> Any:
        """mmcv's contract."""
        return recompute('norms', partial(super().forward, activate=activate, norm=norm), (self,), x)


def recompute_norms(*roots: nn.Module | None) -> None:
    """Replaces convolution modules that have norm and activation by recomputed ones.

    The new modules take over weights and names. mmseg's heads build mmcv's class in their constructors, and
    building new ones would draw different initial weights.

    Args:
        roots: modules that contain convolution modules, such as heads; None is skipped.
    """
    made: dict[nn.Module, nn.Module] = {}  # a module with several names stays one module
    for parent in [module for root in roots if root is not None for module in root.modules()]:
        for name, child in parent._modules.items():
            if child is not None and _is_recomputable(child):
                if child not in made:
                    made[child] = RecomputedConvModule.of(child)
                parent._modules[name] = made[child]


def _is_recomputable(module: nn.Module) -> bool:
    """Whether a module is mmcv's own convolution module, with norm and activation after the convolution."""
    plain = type(module) is ConvModule and module.order == ('conv', 'norm', 'act')
    return bool(plain and module.with_norm and module.with_activation)


def _contexts(
    policy: Policy, modules: Sequence[nn.Module]
) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """The contexts of the forward pass and of the recomputation."""
    if policy == 'blocks':
        return nullcontext(), _Recomputation(modules)
    forward, again = selective_contexts(partial(keeps, policy), _READING, _WRITING)
    return forward, _Recomputation(modules, again)


class _Recomputation(ExitStack):
    """Protects buffers within a context of torch's; can be entered again, as with `retain_graph=True`."""

    def __init__(
        self, modules: Sequence[nn.Module], inner: AbstractContextManager[Any] | None = None
    ) -> None:
        super().__init__()
        self.modules = modules
        self.inner = inner

    def __enter__(self) -> _Recomputation:
        self.enter_context(untouched_buffers(self.modules))
        if self.inner is not None:
            self.enter_context(self.inner)
        return self


@contextmanager
def untouched_buffers(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Lends modules in training copies of their buffers, which a norm's second forward pass updates."""
    lent = [
        (module, name, buffer)
        for root in modules
        for module in root.modules()
        if module.training
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    for module, name, buffer in lent:
        module._buffers[name] = buffer.clone()
    try:
        yield
    finally:
        for module, name, buffer in lent:
            module._buffers[name] = buffer


def keeps(policy: str, op: Any, args: Sequence[Any]) -> bool:
    """Whether a policy keeps the output of an operation with these positional arguments; not for `none`."""
    if policy == 'blocks':
        return False
    return op in _COSTLY and not _draws(op, args) and not (policy == 'expansions' and _expands(op, args))


def _draws(op: Any, args: Sequence[Any]) -> bool:
    """Whether an operation draws random numbers. Without it, later ones would draw different numbers."""
    place = _dropout_place(op)
    return place is not None and place < len(args) and bool(args[place])


@cache
def _dropout_place(op: Any) -> int | None:
    """The position of an operation's dropout-rate argument; None if it has none."""
    names = [argument.name for argument in op._schema.arguments]
    return names.index('dropout_p') if 'dropout_p' in names else None


def _expands(op: Any, args: Sequence[Any]) -> bool:
    """Whether an operation is a 1x1 convolution or a matrix product with more channels out than in."""
    if op in _CONVOLUTIONS:
        out_channels, in_channels, *kernel = args[1].shape
        return all(side == 1 for side in kernel) and bool(out_channels > in_channels)
    if op in _PRODUCTS:
        in_channels, out_channels = args[-1].shape
        return bool(out_channels > in_channels)
    return False
