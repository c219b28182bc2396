"""Asynchronous training: local modules train in turn, each on the frozen outputs of those before it.

In its *turn*, a module is the only one that trains. Configs call a turn a stage; in the code, a stage is a
part of the encoder.

Only the module that trains moves to the GPU. Finished modules stay where they are and are lent to the GPU
block by block, for their forward pass; later modules never go there. The backbone is an
:class:`infopro_seg.models.asynchronous.turn_backbone.InfoProStageBackbone`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from infopro_seg.errors import ConfigError


def require_turn(turn: int | None, count: int, **options: Any) -> None:
    """Checks the index of the module that trains alone, and that its local head reads no later module.

    Args:
        turn: the only module that trains, None for all.
        count: number of local modules.
        options: options of the backbone that make local heads read blocks of the next module.

    Raises:
        ConfigError: no local module has that index, or one of the options is set.
    """
    if turn is not None and (isinstance(turn, bool) or turn not in range(count)):
        raise ConfigError(
            f'there is no stage {turn!r}: the {count} local modules train in the stages 0 to {count - 1}; '
            'choose one of these, or None to train all at once'
        )
    for name, value in options.items():
        if turn is not None and value:
            raise ConfigError(
                f'{name}={value!r} reads blocks of the next module, which do not exist in stage {turn}; '
                f'leave out {name}, or train all modules at once'
            )


@contextmanager
def lent(device: torch.device, *modules: nn.Module) -> Iterator[None]:
    """Lends modules to a device: copies of their parameters and buffers replace those that are elsewhere.

    For forward passes without gradients; changes to buffers are lost. Copies from pinned memory, see
    :func:`pin`, do not block the program.

    Args:
        device: where the modules run within the context.
        modules: modules that stay where they are; modules already on the device are not copied.
    """
    homes = [
        (store, name, tensor)
        for module in _submodules(modules)
        for store, name, tensor in slots(module)
        if tensor.device != device and not _is_idle(module, name)
    ]
    try:
        for store, name, tensor in homes:
            store[name] = tensor.detach().to(device, non_blocking=device.type != 'cpu')
        yield
    finally:
        for store, name, tensor in homes:
            store[name] = tensor


def pin(modules: Iterable[nn.Module]) -> None:
    """Moves the modules' own tensors into pinned memory, in place; pinned tensors are left alone."""
    for module in modules:
        for _, name, tensor in slots(module):
            if not tensor.is_pinned() and not _is_idle(module, name):
                tensor.data = tensor.pin_memory()


def pin_elsewhere(model: Any) -> None:
    """Pins the tensors that stay in CPU memory while one module trains on a GPU."""
    if any(p.is_cuda for p in model.parameters() if p.requires_grad):
        pin(modules_elsewhere(model).values())


def _is_idle(module: nn.Module, name: str) -> bool:
    """Whether a buffer is a counter that nothing reads in evaluation."""
    return name == 'num_batches_tracked' and not module.training


def slots(module: nn.Module) -> list[tuple[dict[str, Any], str, Tensor]]:
    """The tensors of a module without its submodules, each as dictionary, name and tensor."""
    stores: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
    return [(store, name, tensor) for store in stores for name, tensor in store.items() if tensor is not None]


def freeze_others(model: Any) -> None:
    """Freezes all modules but the one that trains alone; none if all train at once."""
    turn = model.backbone.turn
    if turn is None:
        return
    own = parameters_by_module(model)[turn]
    for parameter in model.parameters():
        if id(parameter) not in own:
            parameter.requires_grad_(False)


def parameters_by_module(model: Any) -> list[set[int]]:
    """The ids of each local module's parameters; neck, heads and side norms belong to the last module.

    Args:
        model: an `InfoProEncoderDecoder`.
    """
    backbone = model.backbone
    averages = backbone.momentum_blocks or ()
    parts = [{id(p) for block in blocks for p in block.owned} for blocks in backbone.local_modules()[:-1]]
    for layers in (backbone.local_heads, averages):
        for part, layer in zip(parts, layers, strict=False):
            part |= {id(p) for p in layer.parameters()}
    return [*parts, {id(p) for p in model.parameters()} - set().union(*parts)]


def layers_by_module(model: Any) -> list[set[nn.Module]]:
    """The layers of each local module, without layers that all modules need, such as the preprocessor.

    Args:
        model: an `InfoProEncoderDecoder`.
    """
    backbone = model.backbone
    parts = [
        _submodules([*(module for block in blocks for module in block.modules), head])
        for blocks, head in zip(backbone.local_modules(), backbone.local_heads, strict=False)
    ]
    everywhere = _submodules([model.data_preprocessor]) | {model, backbone, backbone.encoder}
    return [*parts, set(model.modules()) - everywhere - set().union(*parts)]


def modules_elsewhere(model: Any) -> dict[str, nn.Module]:
    """The modules whose own tensors do not move while one local module trains, by name.

    Tensors that the model, its preprocessor or the encoder hold themselves (position embeddings) always move.

    Args:
        model: an `InfoProEncoderDecoder`; if all its local modules train at once, the result is empty.
    """
    turn = getattr(getattr(model, 'backbone', None), 'turn', None)
    if turn is None:
        return {}
    parts = layers_by_module(model)
    away = set().union(*(part for index, part in enumerate(parts) if index != turn))
    return {name: module for name, module in model.named_modules() if module in away}


def placed(model: Any, apply: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Wraps a function for `Module._apply`: tensors of modules that do not train keep their device.

    Args:
        model: an `InfoProEncoderDecoder`; if all its modules train at once, everything moves.
        apply: moves or converts a tensor; comes from `model.to`, `model.cuda` and the like.
    """
    away = {id(tensor) for module in modules_elsewhere(model).values() for _, _, tensor in slots(module)}

    def stay(tensor: Tensor) -> Tensor:
        if id(tensor) not in away:
            return apply(tensor)
        small = apply(tensor.new_empty(0))
        return apply(tensor) if small.device == tensor.device else tensor.to(small.dtype)

    return stay if away else apply


def tensors_elsewhere(model: Any) -> list[str]:
    """The names of the parameters and buffers that do not move while one module trains."""
    return [
        f'{path}.{name}' for path, module in modules_elsewhere(model).items() for _, name, _ in slots(module)
    ]


def _submodules(roots: Iterable[nn.Module]) -> set[nn.Module]:
    return {module for root in roots for module in root.modules()}
