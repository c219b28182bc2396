"""Checks how many pretrained weights a network got."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from infopro_seg.errors import CheckpointError

TIMM = 'timm_model.'  # where mmseg's TIMMBackbone holds the network of timm
SHOWN = 3


class Fit:
    """Watches a network while it loads weights, and reports which ones it got.

    Encoders load weights in different ways; some convert names and shapes. But in the end they all pass a
    state dict to torch, and a hook sees it.

    Args:
        network: the encoder or model, before its initialisation.
        part: what messages call it, `encoder` or `model`.
    """

    def __init__(self, network: nn.Module, part: str) -> None:
        self.network: Any = network
        self.part = part
        self.loaded = False
        self.offered: dict[str, tuple[int, ...]] = {}
        self.nested: list[str] = []  # keys under which a file has weights that nobody finds there
        self.broken: list[str] = []  # names of weights that are not finite

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Records what is loaded within the context; timm's own names become those of `TIMMBackbone`."""
        hook = self.network.register_load_state_dict_pre_hook(self._note)
        try:
            yield
        finally:
            hook.remove()

    def require_some(self, name: str, remedy: str) -> None:
        """Checks that the encoder got weights, and warns about missing ones.

        Args:
            name: name of the weights.
            remedy: what to do instead of loading them.

        Raises:
            CheckpointError: none of the weights fit the network, or some are NaN or infinite.
        """
        if not self.loaded:
            return  # loaded without a state dict, so nothing is known
        own = weights(self.network)
        lacking = [key for key, shape in own.items() if self.offered.get(key) != shape]
        if len(lacking) == len(own):
            raise self.error(name, 'share no weight with', remedy)
        if self.broken:
            raise CheckpointError(
                f'the pretrained weights {name!r} are damaged: {len(self.broken)} hold NaN or infinite '
                f'values, e.g. {self.broken[0]}. Get them again. Or {remedy}'
            )
        surplus = [] if lacking else surplus_blocks(self.offered, self.network.state_dict())
        if surplus:
            print_log(
                f'the pretrained weights {name!r} are of a deeper network than the {self.part} '
                f'{type(self.network).__name__}: they have {", ".join(surplus[:SHOWN])}'
                f'{", ..." if len(surplus) > SHOWN else ""} besides',
                logger='current',
                level=logging.WARNING,
            )
        if lacking:
            modules = dict.fromkeys(key.rpartition('.')[0] or key for key in lacking)
            print_log(
                f'the pretrained weights {name!r} lack {len(lacking)} of the {len(own)} weights of the '
                f'{self.part} {type(self.network).__name__}, which start from scratch: those of '
                f'{", ".join(modules)}',
                logger='current',
                level=logging.WARNING,
            )

    def error(self, name: str, verb: str, remedy: str) -> CheckpointError:
        """The error for weights of another network.

        Args:
            name: name of the weights.
            verb: what is wrong, e.g. `do not fit`; the name of the network follows.
            remedy: what to do instead of loading them.
        """
        of_encoder = '; if their names begin with a prefix, give it: init_cfg=dict(..., prefix="backbone.")'
        return CheckpointError(
            f'the pretrained weights {name!r} {verb} the {self.part} {type(self.network).__name__}: '
            f'{self._difference()}. Use weights of this {self.part}'
            f'{of_encoder if self.part == "encoder" else ""}. Or {remedy}'
        )

    def _note(self, module: Any, state_dict: dict[str, Tensor], prefix: str, *_: Any) -> None:
        of_timm = any(name.startswith(TIMM) for name, _ in self.network.named_parameters())
        if of_timm:
            name_as_encoder(state_dict, weights(self.network))
        self.loaded = True
        tensors = {key: value for key, value in state_dict.items() if isinstance(value, Tensor)}
        self.offered = {key: tuple(value.shape) for key, value in tensors.items()}
        self.broken = [
            key for key, value in tensors.items() if value.is_floating_point() and not value.isfinite().all()
        ]
        self.nested = [
            key
            for key, value in state_dict.items()
            if isinstance(value, Mapping) and any(isinstance(item, Tensor) for item in value.values())
        ]
        for key in [*state_dict] if of_timm else []:
            if not key.startswith(TIMM):
                del state_dict[key]  # the classifier's; mmengine would warn about them

    def _difference(self) -> str:
        own = weights(self.network)
        other = [key for key in own if self.offered.get(key, own[key]) != own[key]]
        if other:
            shapes = f'{self.offered[other[0]]} instead of {own[other[0]]}'
            return f'{len(other)} have other shapes, e.g. {other[0]} {shapes}'
        if self.nested and not self.offered:
            key = self.nested[0]
            return (
                f'their weights lie under {key!r}, where they are not looked for; save these alone: '
                f'torch.save(torch.load(FILE)[{key!r}], OTHER)'
            )
        theirs = ', '.join([*self.offered][:SHOWN]) or 'no tensor'
        return f'they contain {theirs}, ..., the {self.part} has {", ".join([*own][:SHOWN])}, ...'


def weights(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's weights and of its norms' statistics, by name in the state dict."""
    kept = {name for name, _ in module.named_parameters()}
    return {
        name: tuple(value.shape)
        for name, value in module.state_dict().items()
        if name in kept or name.endswith(('running_mean', 'running_var'))
    }


def name_as_encoder(state_dict: dict[str, Any], own: Mapping[str, Any]) -> None:
    """Renames timm's weights in place to the names in `TIMMBackbone`.

    timm joins the names of a stage and its parts with a dot, but with an underscore in a network that
    returns features.

    Args:
        state_dict: weights by timm's names, or by those of `TIMMBackbone`.
        own: the encoder's weights by name.
    """
    names = {_joined(key.removeprefix(TIMM)): key for key in own}
    for key in [*state_dict]:
        value = state_dict.pop(key)  # put back even if unchanged, so that the order stays
        state_dict[names.get(_joined(key.removeprefix(TIMM)), key)] = value


def _joined(name: str) -> str:
    return name.replace('.', '_')


def surplus_blocks(offered: Iterable[str], own: Iterable[str]) -> list[str]:
    """The numbered parts in a state dict that a network has fewer of, such as `layer3.6` for a ResNet-50.

    Args:
        offered: names in the state dict.
        own: names in that of the network.
    """
    names = [_parts(name) for name in own]
    known = {name[:end] for name in names for end in range(1, len(name) + 1)}
    numbered = {name[:end] for name in names for end in range(len(name)) if name[end].isdigit()}
    found = []
    for name in map(_parts, offered):
        for end, part in enumerate(name):
            if part.isdigit() and name[:end] in numbered and name[: end + 1] not in known:
                found.append('.'.join(name[: end + 1]))
                break
    return [*dict.fromkeys(found)]


def _parts(name: str) -> tuple[str, ...]:
    return tuple(re.split(r'[._]', name.removeprefix(TIMM)))
