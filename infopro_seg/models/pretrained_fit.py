"""What pretrained weights and the encoder that loads them have in common."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine.logging import print_log
from torch import Tensor, nn

from infopro_seg.errors import CheckpointError

TIMM = 'timm_model.'  # where mmseg's TIMMBackbone holds the network of timm
SHOWN = 3


class Fit:
    """Looks on while an encoder loads weights, by whatever way, and says what it got.

    Encoders load in different ways, some of which convert names and shapes. What they offer to torch in the
    end is the same for all: a state dict, which a hook sees.

    Args:
        encoder: the encoder, before its initialisation.
    """

    def __init__(self, encoder: nn.Module) -> None:
        self.encoder = encoder
        self.loaded = False
        self.offered: dict[str, tuple[int, ...]] = {}

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Notes what is loaded within the context; names of timm's own become those of `TIMMBackbone`."""
        hook = self.encoder.register_load_state_dict_pre_hook(self._note)
        try:
            yield
        finally:
            hook.remove()

    def require_some(self, name: str, remedy: str) -> None:
        """Checks that the encoder got weights, and warns of those that it did not get.

        Args:
            name: which weights they are.
            remedy: what to do instead of loading them.

        Raises:
            CheckpointError: it got none.
        """
        if not self.loaded:
            return  # not by a state dict, and nobody knows
        own = weights(self.encoder)
        lacking = [key for key, shape in own.items() if self.offered.get(key) != shape]
        kind = type(self.encoder).__name__
        if len(lacking) == len(own):
            raise CheckpointError(
                f'the pretrained weights {name!r} share no weight with the encoder {kind}: '
                f'{self._difference(own)}; give weights of this encoder (init_cfg may have a prefix, e.g. '
                f'prefix="backbone.", where the names begin with one), or {remedy.partition(", or ")[2]}'
            )
        if lacking:
            modules = dict.fromkeys(key.rpartition('.')[0] or key for key in lacking)
            print_log(
                f'the pretrained weights {name!r} lack {len(lacking)} of the {len(own)} weights of the '
                f'encoder {kind}, which start from scratch: those of {", ".join(modules)}',
                logger='current',
                level=logging.WARNING,
            )

    def _note(self, module: Any, state_dict: dict[str, Tensor], prefix: str, *_: Any) -> None:
        if any(name.startswith(TIMM) for name, _ in self.encoder.named_parameters()):
            name_as_encoder(state_dict, weights(self.encoder))
        self.loaded = True
        self.offered = {
            key: tuple(value.shape) for key, value in state_dict.items() if isinstance(value, Tensor)
        }

    def _difference(self, own: Mapping[str, tuple[int, ...]]) -> str:
        same = [key for key in own if key in self.offered]
        if same:
            other, here = self.offered[same[0]], own[same[0]]
            return (
                f'{len(same)} have the same names but other shapes, e.g. {same[0]} {other} instead of {here}'
            )
        theirs = ', '.join([*self.offered][:SHOWN]) or 'no tensor'
        return f'they hold {theirs}, ..., the encoder {", ".join([*own][:SHOWN])}, ...'


def weights(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes of what a network learns, and of the statistics of its norms, by name in the state dict."""
    kept = {name for name, _ in module.named_parameters()}
    return {
        name: tuple(value.shape)
        for name, value in module.state_dict().items()
        if name in kept or name.endswith(('running_mean', 'running_var'))
    }


def name_as_encoder(state_dict: dict[str, Any], own: Mapping[str, Any]) -> None:
    """Renames timm's weights as `TIMMBackbone` has them, in place; those of the classifier are dropped.

    timm joins the names of a stage and its parts by a dot, but by an underscore where it takes the network
    apart for its features.

    Args:
        state_dict: names of timm, or of `TIMMBackbone`.
        own: the encoder's weights by name.
    """
    names = {_joined(key.removeprefix(TIMM)): key for key in own}
    for key in [*state_dict]:
        value = state_dict.pop(key)
        name = names.get(_joined(key.removeprefix(TIMM)), key)
        if name.startswith(TIMM):
            state_dict[name] = value


def _joined(name: str) -> str:
    return name.replace('.', '_')
