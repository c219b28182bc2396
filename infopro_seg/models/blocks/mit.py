"""Blocks of SegFormer's encoder: patch embeddings and transformer layers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mmseg.models.backbones import MixVisionTransformer
from mmseg.models.utils import nlc_to_nchw
from torch import Tensor, nn

from infopro_seg.models.blocks.block import Block, identity, iter_blocks
from infopro_seg.models.blocks.tokens import Tokens, feature_map, run_sized_layer


@iter_blocks.register
def _(encoder: MixVisionTransformer) -> Iterator[Block]:
    """The norm at the end of a stage is part of the trunk, so it belongs to the stage's last block."""
    for index, (embedding, layers, norm) in enumerate(encoder.layers):
        yield Block(f'layers.{index}.0', (embedding,), partial(_embed, embedding), feature=feature_map)
        *inner, last = layers
        for step, layer in enumerate(inner):
            yield Block(
                f'layers.{index}.1.{step}', (layer,), partial(run_sized_layer, layer), feature=feature_map
            )
        output = identity if index in encoder.out_indices else None
        name = f'layers.{index}.1.{len(inner)}'
        yield Block(name, (last, norm), partial(_run_last, last, norm), output)


def _embed(embedding: nn.Module, state: Tensor) -> Tokens:
    return Tokens(*embedding(state))


def _run_last(layer: nn.Module, norm: nn.Module, state: Tokens) -> Tensor:
    tokens = run_sized_layer(layer, state)
    output: Tensor = nlc_to_nchw(norm(tokens.sequence), tokens.size)  # mmseg's own: a view, not a copy
    return output
