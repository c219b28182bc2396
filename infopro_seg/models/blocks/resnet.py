"""Blocks of ResNets: a stem and residual blocks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mmseg.models.backbones import ResNet

from infopro_seg.models.blocks.block import Block, identity, iter_blocks, run_in_turn, stage_blocks


@iter_blocks.register
def _(encoder: ResNet) -> Iterator[Block]:
    """ResNet and its subclasses: ResNetV1c, ResNetV1d, ResNeXt, ResNeSt."""
    stem = ('stem',) if encoder.deep_stem else ('conv1', encoder.norm1_name, 'relu')
    steps = tuple(getattr(encoder, name) for name in (*stem, 'maxpool'))
    yield Block('stem', steps, partial(run_in_turn, steps))
    for index, name in enumerate(encoder.res_layers):
        output = identity if index in encoder.out_indices else None
        yield from stage_blocks(name, getattr(encoder, name), output)
