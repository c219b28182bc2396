"""Asynchronous training: local modules train in turn, each on the frozen outputs of those before it.

In its *turn*, which configs call a stage, a module is the only one that trains. In the code, stages are those
of the encoder.

Only what the module consists of moves to the device that trains. Finished modules stay where they are and
are lent to the device block by block, for their forward pass; later ones never go there. The backbone is
an :class:`infopro_seg.models.turn_backbone.InfoProStageBackbone`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from infopro_seg.errors import ConfigError


def require_turn(turn: int | None, count: int, **options: Any) -> None:
    """Checks the number of the module whose turn it is, and that local heads read nothing of later ones.

    Args:
        turn: the only module that trains, None for all.
        count: number of local modules.
        options: those of the backbone by which local heads read blocks of the next module.

    Raises:
        ConfigError: no local module has that number, or one of the options is set.
    """
    if turn is not None and (isinstance(turn, bool) or turn not in range(count)):
        raise ConfigError(
            f'no stage {turn!r}: {count} local modules train in the stages 0 to {count - 1}; choose one of '
            'these, or None to train all at once'
        )
    for name, value in options.items():
        if turn is not None and value:
            raise ConfigError(
                f'{name}={value!r} reads blocks of the next module, which are not there in stage {turn}; '
                f'leave out {name}, or train all modules at once'
            )


@contextmanager
def lent(device: torch.device, *modules: nn.Module) -> Iterator[None]:
    """Lends modules to a device: copies of their parameters and buffers stand in for those elsewhere.

    For forward passes without gradients; what a module writes into its buffers is lost. Copies from pinned
    memory, see :func:`pin`, do not hold up the program.

    Args:
        device: where the modules run within the context.
        modules: modules that stay where they are; those on the device already are left alone.
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
    """Moves what modules themselves hold into pinned memory, in place and once."""
    for module in modules:
        for _, name, tensor in slots(module):
            if not tensor.is_pinned() and not _is_idle(module, name):
                tensor.data = tensor.pin_memory()


def pin_elsewhere(model: Any) -> None:
    """Pins what stays in CPU memory while one module trains on a GPU."""
    if any(p.is_cuda for p in model.parameters() if p.requires_grad):
        pin(modules_elsewhere(model).values())


def _is_idle(module: nn.Module, name: str) -> bool:
    """Whether a buffer is a counter that nothing reads in evaluation."""
    return name == 'num_batches_tracked' and not module.training


def slots(module: nn.Module) -> list[tuple[dict[str, Any], str, Tensor]]:
    """Where a module itself, without its submodules, holds tensors: dictionary, name and tensor."""
    stores: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
    return [(store, name, tensor) for store in stores for name, tensor in store.items() if tensor is not None]


def freeze_others(model: Any) -> None:
    """Leaves only the module whose turn it is trainable; all of them where they train at once."""
    turn = model.backbone.turn
    if turn is None:
        return
    own = parameters_by_module(model)[turn]
    for parameter in model.parameters():
        if id(parameter) not in own:
            parameter.requires_grad_(False)


def parameters_by_module(model: Any) -> list[set[int]]:
    """The ids of the parameters of each local module; neck, heads and side norms are the last one's.

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
    """The layers of each local module. Those that hold what several need, as the preprocessor, are nobody's.

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
    """The modules whose own tensors stay where they are while one module trains, by name.

    What the model, its preprocessor and the encoder hold themselves (position embeddings) always moves.

    Args:
        model: an `InfoProEncoderDecoder`; there are none where all its modules train at once.
    """
    turn = getattr(getattr(model, 'backbone', None), 'turn', None)
    if turn is None:
        return {}
    parts = layers_by_module(model)
    away = set().union(*(part for index, part in enumerate(parts) if index != turn))
    return {name: module for name, module in model.named_modules() if module in away}


def placed(model: Any, apply: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Wraps what `Module._apply` applies to tensors: the tensors of other turns stay where they are.

    Args:
        model: an `InfoProEncoderDecoder`; everything moves where all its modules train at once.
        apply: moves or converts a tensor, as `model.to`, `model.cuda` and the like give it.
    """
    away = {id(tensor) for module in modules_elsewhere(model).values() for _, _, tensor in slots(module)}

    def stay(tensor: Tensor) -> Tensor:
        if id(tensor) not in away:
            return apply(tensor)
        small = apply(tensor.new_empty(0))
        return apply(tensor) if small.device == tensor.device else tensor.to(small.dtype)

    return stay if away else apply


def tensors_elsewhere(model: Any) -> list[str]:
    """The names of the parameters and buffers that stay where they are while one module trains."""
    return [
        f'{path}.{name}' for path, module in modules_elsewhere(model).items() for _, name, _ in slots(module)
    ]


def _submodules(roots: Iterable[nn.Module]) -> set[nn.Module]:
    return {module for root in roots for module in root.modules()}
