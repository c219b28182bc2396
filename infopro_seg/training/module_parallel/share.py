"""A process's share of a network: the parameters and buffers of its own local module."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from infopro_seg.models.asynchronous.turns import layers_by_module, parameters_by_module, slots


@dataclass(frozen=True)
class Slot:
    """A place where a layer holds a tensor.

    Args:
        store: the layer's parameters or buffers.
        name: the tensor's name in the layer.
        module: the local module that the tensor belongs to; None for a small tensor that all modules need.
    """

    store: dict[str, Any]
    name: str
    module: int | None

    @property
    def tensor(self) -> Tensor:
        """The tensor in this place."""
        tensor: Tensor = self.store[self.name]
        return tensor


def slots_of(model: Any) -> list[Slot]:
    """All places where a network holds tensors, in the order of its layers."""
    by_id = {key: index for index, part in enumerate(parameters_by_module(model)) for key in part}
    by_layer = {layer: index for index, part in enumerate(layers_by_module(model)) for layer in part}
    return [
        Slot(store, name, by_id[id(tensor)] if isinstance(tensor, nn.Parameter) else by_layer.get(layer))
        for layer in model.modules()
        for store, name, tensor in slots(layer)
    ]


class Share:
    """The share of a process in a network. The rest is on the `meta` device, where it takes no memory.

    The optimizer still counts the other parameters, so its state is numbered as in a single process. It skips
    them because they have no gradient.

    Args:
        model: a whole `InfoProEncoderDecoder`.
        module: the local module that stays.
    """

    def __init__(self, model: Any, module: int) -> None:
        slots = slots_of(model)
        self.shared = [slot for slot in slots if slot.module is None]
        self.own = [slot for slot in slots if slot.module == module]
        self.foreign = [slot for slot in slots if slot.module not in (None, module)]

    def drop_foreign(self, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Drops everything but the share.

        Args:
            optimizer: the optimizer of the parameters, before its first step.
        """
        absent: dict[int, Any] = {}  # by the id of the tensor that it replaces
        for slot in self.foreign:
            tensor = slot.tensor
            meta: Any = torch.empty_like(tensor, device='meta')
            if isinstance(tensor, nn.Parameter):
                meta = nn.Parameter(meta, requires_grad=tensor.requires_grad)
            absent[id(tensor)] = slot.store[slot.name] = meta
        for group in optimizer.param_groups if optimizer is not None else ():
            group['params'] = [absent.get(id(p), p) for p in group['params']]

    def to(self, device: torch.device) -> None:
        """Moves the share to a device; the parameters stay the same objects."""
        for slot in (*self.shared, *self.own):
            slot.tensor.data = slot.tensor.data.to(device)


def drop_absent(state: dict[str, Any]) -> None:
    """Removes from a state dict, in place, what other processes hold."""
    for name in [name for name, value in state.items() if isinstance(value, Tensor) and value.is_meta]:
        del state[name]


def drop_absent_state(optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter]) -> None:
    """Removes from an optimizer and from parameters what a checkpoint contained for other processes."""
    for parameter in [parameter for parameter in optimizer.state if parameter.is_meta]:
        del optimizer.state[parameter]
    for parameter in parameters:
        if parameter.is_meta:
            parameter.grad = None
