"""Blocks of MobileNets: convolution modules and inverted residual blocks."""

from __future__ import annotations

from collections.abc import Iterator

from mmseg.models.backbones import MobileNetV2, MobileNetV3

from infopro_seg.models.blocks.block import Block, identity, iter_blocks, stage_blocks


@iter_blocks.register
def _(encoder: MobileNetV2) -> Iterator[Block]:
    yield Block('conv1', (encoder.conv1,), encoder.conv1)
    for index, name in enumerate(encoder.layers):
        output = identity if index in encoder.out_indices else None
        yield from stage_blocks(name, getattr(encoder, name), output)


@iter_blocks.register
def _(encoder: MobileNetV3) -> Iterator[Block]:
    for index, name in enumerate(encoder.layers):
        layer = getattr(encoder, name)
        yield Block(name, (layer,), layer, identity if index in encoder.out_indices else None)
