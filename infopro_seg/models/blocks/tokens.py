"""The state of transformers: a sequence of tokens, and the size of their feature map."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from torch import Tensor, nn


class Tokens(NamedTuple):
    """A sequence (N, L, C) whose last height * width tokens are a feature map, row by row.

    A class token, if there is one, comes first.
    """

    sequence: Tensor
    size: tuple[int, int]


State: TypeAlias = Tensor | Tokens


def feature_map(state: State) -> Tensor:
    """The feature map (N, C, H, W) of a state, without a class token."""
    if isinstance(state, Tensor):
        return state
    height, width = state.size
    sequence = state.sequence[:, state.sequence.shape[1] - height * width :]
    return sequence.reshape(len(sequence), height, width, -1).permute(0, 3, 1, 2).contiguous()


def run_layer(layer: nn.Module, norm: nn.Module | None, state: Tokens) -> Tokens:
    """Runs a layer that reads only the sequence, and then a norm."""
    sequence = layer(state.sequence)
    return Tokens(sequence if norm is None else norm(sequence), state.size)


def run_sized_layer(layer: Callable[..., Tensor], state: Tokens) -> Tokens:
    """Runs a layer that also reads the size of the map."""
    return Tokens(layer(state.sequence, state.size), state.size)


def normed_map(norm: nn.Module, state: Tokens) -> Tensor:
    """The feature map (N, C, H, W) of a normed sequence."""
    return feature_map(Tokens(norm(state.sequence), state.size))
