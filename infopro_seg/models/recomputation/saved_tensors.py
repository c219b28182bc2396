"""Runs a part of a network that saves no tensors: the backward pass computes them again.

`torch.utils.checkpoint` does this too, and supports more: parts within parts, overlapping backward passes,
checks of shapes. It spends more of the host's time on each saved tensor, and a fast GPU waits for the host.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch._compile import _disable_dynamo
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import Parameter
from torch.random import fork_rng
from torch.utils._pytree import tree_flatten, tree_unflatten
from torch.utils.checkpoint import get_device_states, set_device_states


@_disable_dynamo  # a compiled forward pass around it would save other tensors than the recomputation
def run_recomputed(
    forward: Callable[..., Any],
    inputs: tuple[Any, ...],
    first: AbstractContextManager[Any],
    again: AbstractContextManager[Any],
) -> Any:
    """Returns `forward(*inputs)`; of what it saves for the backward pass, only the inputs stay alive.

    The recomputation has the same random numbers and the same precision. It ends as soon as the last saved
    tensor is there. With `retain_graph=True` each backward pass recomputes.

    Args:
        forward: the part; it must not change its inputs in place.
        inputs: trees of tensors.
        first: context of the forward pass.
        again: context of the recomputation; entered once for each.
    """
    _leave_uncompiled()
    part = _Part(forward, inputs, again)
    with saved_tensors_hooks(part.drop, part.restore), first:
        return forward(*inputs)


class _Part:
    """A part of a network, and the tensors that its recomputation has restored.

    Saved tensors are numbered in the order in which they are saved. Parameters are saved as they are.
    """

    def __init__(
        self, forward: Callable[..., Any], inputs: tuple[Any, ...], again: AbstractContextManager[Any]
    ) -> None:
        self.forward = forward
        # Not the trees themselves: the part may put other tensors into a list.
        self.leaves, self.tree = tree_flatten(inputs)
        self.tensors = [leaf for leaf in self.leaves if isinstance(leaf, Tensor)]
        self.again = again
        self.versions = _versions(self.tensors)
        self.surroundings = _Surroundings(self.tensors)
        self.saved = 0
        self.restored: dict[int, Tensor] = {}

    def drop(self, tensor: Tensor) -> int | Tensor:
        """Called with each tensor that the forward pass saves; returns what is saved instead."""
        if type(tensor) is Parameter:
            return tensor
        self.saved += 1
        return self.saved - 1

    def restore(self, saved: int | Tensor) -> Tensor:
        """Called by the backward pass with what `drop` returned; returns the tensor."""
        if not isinstance(saved, int):
            return saved
        tensor = self.restored.pop(saved, None)
        if tensor is None:
            self.restored = dict(enumerate(self._recompute()))
            tensor = self.restored.pop(saved)
        return tensor

    def _recompute(self) -> list[Tensor]:
        if _versions(self.tensors) != self.versions:
            raise RuntimeError(
                'an input of a recomputed part was changed in place after the forward pass; change a copy '
                'instead'
            )
        found = _Found(self.saved)
        try:
            with (
                torch.enable_grad(),
                self.surroundings.restored(),
                saved_tensors_hooks(found.add, _same),
                self.again,
            ):
                self.forward(*tree_unflatten(self.leaves, self.tree))
        except _EndError:
            # What is left of the recomputation's graph, such as a weight that a norm stores, holds the hooks.
            tensors, found.tensors = found.tensors, []
            return tensors
        raise RuntimeError(
            f'the recomputation saved {len(found.tensors)} tensors, the forward pass {self.saved}; a '
            'recomputed part must not depend on anything that changes between the two'
        )


class _Found:
    """The tensors that a recomputation has saved so far; the last one ends it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.tensors: list[Tensor] = []

    def add(self, tensor: Tensor) -> Tensor:
        """Called with each tensor that the recomputation saves."""
        if type(tensor) is Parameter:
            return tensor
        # An operation that saved its own output with its graph would keep itself alive.
        tensor = tensor.detach() if tensor.requires_grad else tensor
        self.tensors.append(tensor)
        if len(self.tensors) == self.number:
            raise _EndError
        return tensor


@cache
def _leave_uncompiled() -> None:
    """Keeps Dynamo, where a part is compiled into several graphs, from compiling these for each tensor."""
    for function in (_Part.drop, _Found.add):
        torch._dynamo.decorators.skip(function)


class _EndError(BaseException):
    """Not a fault: ends a recomputation when all saved tensors are there.

    Not an `Exception` either, which a part might catch to do something else.
    """


class _Surroundings:
    """What a forward pass depends on besides its inputs: random numbers, autocast and the default device."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        one_each = {tensor.device: tensor for tensor in tensors}  # of each device
        kinds = {device.type for device in one_each}
        self.kind = next(iter(sorted(kinds - {'cpu', 'meta'})), 'cpu')
        self.cpu_state = torch.get_rng_state()
        # As in torch, random numbers of MPS, which has a single device, are not repeated.
        in_use = self.kind not in ('cpu', 'mps') and torch.get_device_module(self.kind).is_initialized()
        self.devices, self.states = get_device_states(*one_each.values()) if in_use else ([], [])
        self.autocasts = self._autocasts()
        self.default_device = torch.get_default_device()

    @contextmanager
    def restored(self) -> Iterator[None]:
        """The same random numbers, autocast and default device as then."""
        with fork_rng(self.devices, device_type=self.kind), ExitStack() as stack:
            torch.set_rng_state(self.cpu_state)
            set_device_states(self.devices, self.states, device_type=self.kind)
            if self._autocasts() != self.autocasts:
                for kind, (enabled, dtype, cached) in self.autocasts.items():
                    stack.enter_context(torch.autocast(kind, dtype, enabled, cached))
            if torch.get_default_device() != self.default_device:
                stack.enter_context(self.default_device)
            yield

    def _autocasts(self) -> dict[str, tuple[bool, torch.dtype, bool]]:
        cached = torch.is_autocast_cache_enabled()
        return {
            kind: (torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind), cached)
            for kind in {self.kind, 'cpu'}
        }


def _versions(tensors: Sequence[Tensor]) -> list[int]:
    return [tensor._version for tensor in tensors]


def _same(tensor: Tensor) -> Tensor:
    return tensor
