"""Runs a part of a network that saves no tensors: the backward pass computes them again.

`torch.utils.checkpoint` does this too, and supports more: parts within parts, overlapping backward passes,
checks of shapes. It spends more of the host's time on each saved tensor, and a fast GPU waits for the host.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import Parameter
from torch.random import fork_rng
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.checkpoint import get_device_states, set_device_states


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
        self.inputs = inputs
        self.again = again
        self.versions = _versions(inputs)
        self.surroundings = _Surroundings(inputs)
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
        if _versions(self.inputs) != self.versions:
            raise RuntimeError(
                'an input of a recomputed part was changed in place after the forward pass; change a copy '
                'instead'
            )
        found: list[Tensor] = []

        def collect(tensor: Tensor) -> Tensor:
            if type(tensor) is Parameter:
                return tensor
            # An operation that saved its own output with its graph would keep itself alive.
            tensor = tensor.detach() if tensor.requires_grad else tensor
            found.append(tensor)
            if len(found) == self.saved:
                raise _EndError
            return tensor

        inputs = tree_map_only(Tensor, _apart, self.inputs)
        try:
            with (
                torch.enable_grad(),
                self.surroundings.restored(),
                saved_tensors_hooks(collect, _same),
                self.again,
            ):
                self.forward(*inputs)
        except _EndError:
            return found
        raise RuntimeError(
            f'the recomputation saved {len(found)} tensors, the forward pass {self.saved}; a recomputed part '
            'must not depend on anything that changes between the two'
        )


class _EndError(Exception):
    """Not a fault: ends a recomputation when all saved tensors are there."""


class _Surroundings:
    """What a forward pass depends on besides its inputs: random numbers and autocast."""

    def __init__(self, inputs: tuple[Any, ...]) -> None:
        kinds = {leaf.device.type for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)}
        self.kind = next(iter(sorted(kinds - {'cpu', 'meta'})), 'cpu')
        self.cpu_state = torch.get_rng_state()
        in_use = self.kind != 'cpu' and torch.get_device_module(self.kind).is_initialized()
        self.devices, self.states = get_device_states(*inputs) if in_use else ([], [])
        self.autocasts = self._autocasts()

    def restored(self) -> ExitStack:
        """A context with the same random numbers and autocast as then."""
        stack = ExitStack()
        stack.enter_context(fork_rng(self.devices, device_type=self.kind))
        torch.set_rng_state(self.cpu_state)
        set_device_states(self.devices, self.states, device_type=self.kind)
        if self._autocasts() != self.autocasts:
            for kind, (enabled, dtype, cached) in self.autocasts.items():
                stack.enter_context(torch.autocast(kind, dtype=dtype, enabled=enabled, cache_enabled=cached))
        return stack

    def _autocasts(self) -> dict[str, tuple[bool, torch.dtype, bool]]:
        cached = torch.is_autocast_cache_enabled()
        return {
            kind: (torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind), cached)
            for kind in {self.kind, 'cpu'}
        }


def _versions(inputs: Any) -> list[int]:
    return [leaf._version for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)]


def _apart(tensor: Tensor) -> Tensor:
    """The tensor without its graph."""
    return tensor.detach().requires_grad_(tensor.requires_grad)


def _same(tensor: Tensor) -> Tensor:
    return tensor
