"""Blocks of HRNet: a stem, residual blocks, and modules that run several resolutions side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import TypeAlias

import torch
from mmseg.models.backbones.hrnet import HRModule, HRNet
from mmseg.models.utils import resize
from torch import Tensor, nn

from infopro_seg.models.blocks.block import Block, Output, iter_blocks, run_in_turn, stage_blocks

Branches: TypeAlias = tuple[Tensor, ...]


@iter_blocks.register
def _(encoder: HRNet) -> Iterator[Block]:
    """From `transition1` on, the state is one feature map per branch; modules end by mixing them.

    Local heads read all branches, resized to the finest and concatenated. HRNet's own decode heads do the
    same, and a head that read one branch would leave parts of the last mixing without a gradient.
    """
    first, second = (encoder.conv1, encoder.norm1), (encoder.conv2, encoder.norm2)
    steps = (*first, encoder.relu, *second, encoder.relu)
    yield Block('stem', (*first, *second, encoder.relu), partial(run_in_turn, steps))
    yield from stage_blocks('layer1', encoder.layer1)
    for stage in (2, 3, 4):
        name = f'transition{stage - 1}'
        transition = getattr(encoder, name)
        yield Block(name, (transition,), partial(_transit, transition), feature=_concatenated)
        modules = getattr(encoder, f'stage{stage}')
        for step, module in enumerate(modules):
            ends = stage == 4 and step == len(modules) - 1
            yield Block(
                f'stage{stage}.{step}',
                (module,),
                partial(_exchange, module),
                _outputs(module) if ends else None,
                _concatenated,
            )


def _transit(transition: Sequence[nn.Module | None], state: Tensor | Branches) -> Branches:
    branches = (state,) if isinstance(state, Tensor) else state
    return tuple(
        branches[index] if layer is None else layer(branches[-1]) for index, layer in enumerate(transition)
    )


def _exchange(module: HRModule, state: Branches) -> Branches:
    return tuple(module(list(state)))  # a new list, because the module writes into it


def _outputs(module: HRModule) -> list[Output]:
    """A function for each branch; with `multiscale_output=False` the last module has one branch."""
    count = len(module.branches) if module.multiscale_output else 1
    return [itemgetter(index) for index in range(count)]


def _concatenated(state: Branches) -> Tensor:
    size = state[0].shape[2:]
    maps = [state[0], *(resize(m, size, mode='bilinear', align_corners=False) for m in state[1:])]
    return torch.cat(maps, dim=1)
