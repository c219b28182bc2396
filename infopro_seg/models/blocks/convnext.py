"""Blocks of mmpretrain's ConvNeXt; imported when such an encoder is used."""

from __future__ import annotations

from collections.abc import Iterator

from mmpretrain.models.backbones import ConvNeXt

from infopro_seg.errors import ConfigError
from infopro_seg.models.blocks.block import Block, iter_blocks, stage_blocks


@iter_blocks.register
def _(encoder: ConvNeXt) -> Iterator[Block]:
    """Local heads read the residual stream; the norms on the side outputs belong to the last module."""
    if encoder.gap_before_final_norm:
        raise ConfigError(
            'gap_before_final_norm=True of ConvNeXt averages its outputs over the image, but heads '
            'here read feature maps; write gap_before_final_norm=False'
        )
    for index, (entry, stage) in enumerate(zip(encoder.downsample_layers, encoder.stages, strict=True)):
        yield Block(f'downsample_layers.{index}', (entry,), entry)
        output = getattr(encoder, f'norm{index}') if index in encoder.out_indices else None
        yield from stage_blocks(f'stages.{index}', stage, output)
