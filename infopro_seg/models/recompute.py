"""Recomputation: what a part of the network computes again in its backward pass instead of keeping.

It is also called activation checkpointing. The policies, from the one that keeps most to the one that keeps
least:

- `none`: everything is kept, as usual.
- `norms`: norms, activations and what else is cheap are recomputed; the outputs of convolutions, matrix
  products and attention are kept. It costs time of memory-bound operations but nearly no FLOPs.
- `expansions`: also convolutions and matrix products of kernel one that widen their input: they make the
  largest outputs of a bottleneck block or a transformer's MLP for a small share of its FLOPs.
- `blocks`: everything but the input of the block is recomputed, one more forward pass.

Gradients are the same in all of them, and norms update their statistics once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cache, partial
from typing import Any, Literal, TypeAlias, get_args

import torch
from mmcv.cnn import ConvModule
from torch import nn
from torch.utils.checkpoint import checkpoint

from infopro_seg.models.selective import selective_contexts

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


def recompute(policy: Policy, forward: Callable[..., Any], modules: Iterable[nn.Module], *inputs: Any) -> Any:
    """Runs `forward(*inputs)` and keeps for the backward pass only what the policy says.

    Unlike mmseg's `with_cp` it also works where no input requires a gradient, as after a cut.

    Args:
        policy: one of the policies above.
        forward: a part of a network; it must not change its inputs in place.
        modules: the modules that it runs, whose statistics the recomputation must leave alone.
        inputs: trees of tensors.
    """
    if policy == 'none' or not torch.is_grad_enabled():
        return forward(*inputs)
    contexts = partial(_contexts, policy, tuple(modules))
    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts)


class RecomputedConvModule(ConvModule):
    """mmcv's `ConvModule` that keeps only the convolution's output.

    That pays where what follows does not keep the activation itself: a concatenation or an upsampling.
    """

    @classmethod
    def of(cls, module: ConvModule) -> RecomputedConvModule:
        """One that has the layers, weights and hooks of another, whose place it takes."""
        made = cls.__new__(cls)
        made.__dict__.update(module.__dict__)
        return made

    def forward(self, x: Any, activate: bool = True, norm: bool = True) -> Any:
        """mmcv's contract."""
        return recompute('norms', partial(super().forward, activate=activate, norm=norm), (self,), x)


def recompute_norms(*roots: nn.Module | None) -> None:
    """Puts recomputed ones in the place of the convolution modules with norm and activation.

    They take over weights and names: mmseg's heads call mmcv's class in their constructors, and one that is
    built afresh would draw other initial weights.

    Args:
        roots: modules that hold convolution modules, such as heads; None for one that is not there.
    """
    made: dict[nn.Module, nn.Module] = {}  # a module that has several names keeps being one
    for parent in [module for root in roots if root is not None for module in root.modules()]:
        for name, child in parent._modules.items():
            if child is not None and _is_recomputable(child):
                if child not in made:
                    made[child] = RecomputedConvModule.of(child)
                parent._modules[name] = made[child]


def _is_recomputable(module: nn.Module) -> bool:
    """Whether it is mmcv's own convolution module, with norm and activation after the convolution."""
    plain = type(module) is ConvModule and module.order == ('conv', 'norm', 'act')
    return bool(plain and module.with_norm and module.with_activation)


def _contexts(
    policy: Policy, modules: Sequence[nn.Module]
) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """The contexts of the forward pass and of the recomputation."""
    if policy == 'blocks':
        return nullcontext(), _Recomputation(modules)
    forward, again = selective_contexts(partial(keeps, policy))
    return forward, _Recomputation(modules, again)


class _Recomputation(ExitStack):
    """Leaves buffers alone within a context of torch's; can be entered again, as with `retain_graph=True`."""

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
    """Lends copies of the buffers to modules in training: a norm's second forward pass updates those."""
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
    """Whether a policy keeps the output of an operation on some positional arguments; not for `none`."""
    if policy == 'blocks':
        return False
    return op in _COSTLY and not _draws(op, args) and not (policy == 'expansions' and _expands(op, args))


def _draws(op: Any, args: Sequence[Any]) -> bool:
    """Whether it draws random numbers: what draws after it would draw others if it were left out."""
    place = _dropout_place(op)
    return place is not None and place < len(args) and bool(args[place])


@cache
def _dropout_place(op: Any) -> int | None:
    """The place of the argument that says how much it drops out; None where it has none."""
    names = [argument.name for argument in op._schema.arguments]
    return names.index('dropout_p') if 'dropout_p' in names else None


def _expands(op: Any, args: Sequence[Any]) -> bool:
    """Whether it is a convolution or product of kernel one with more channels out than in."""
    if op in _CONVOLUTIONS:
        out_channels, in_channels, *kernel = args[1].shape
        return all(side == 1 for side in kernel) and bool(out_channels > in_channels)
    if op in _PRODUCTS:
        in_channels, out_channels = args[-1].shape
        return bool(out_channels > in_channels)
    return False
