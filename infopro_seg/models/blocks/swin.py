"""Blocks of Swin: patch embedding, transformer blocks, patch merging."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mmseg.models.backbones import SwinTransformer
from torch import Tensor, nn

from infopro_seg.models.blocks.block import Block, iter_blocks
from infopro_seg.models.blocks.tokens import Tokens, feature_map, normed_map, run_sized_layer


@iter_blocks.register
def _(encoder: SwinTransformer) -> Iterator[Block]:
    """Local heads read the residual stream; the norms on the side outputs belong to the last module."""
    position = (encoder.absolute_pos_embed,) if encoder.use_abs_pos_embed else ()
    modules = (encoder.patch_embed, encoder.drop_after_pos)
    yield Block('patch_embed', modules, partial(_embed, encoder), feature=feature_map, parameters=position)
    for index, stage in enumerate(encoder.stages):
        name = f'stages.{index}'
        for step, layer in enumerate(stage.blocks):
            returned = step == len(stage.blocks) - 1 and index in encoder.out_indices
            output = partial(normed_map, getattr(encoder, f'norm{index}')) if returned else None
            yield Block(
                f'{name}.blocks.{step}', (layer,), partial(run_sized_layer, layer), output, feature_map
            )
        merging = stage.downsample
        if merging is not None:
            yield Block(f'{name}.downsample', (merging,), partial(_merge, merging), feature=feature_map)


def _embed(encoder: SwinTransformer, image: Tensor) -> Tokens:
    sequence, size = encoder.patch_embed(image)
    if encoder.use_abs_pos_embed:
        sequence = sequence + encoder.absolute_pos_embed
    return Tokens(encoder.drop_after_pos(sequence), size)


def _merge(merging: nn.Module, state: Tokens) -> Tokens:
    return Tokens(*merging(state.sequence, state.size))
