"""Blocks of SegNeXt's encoder: patch embeddings and convolutional attention."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mmseg.models.backbones import MSCAN
from torch import Tensor, nn

from infopro_seg.models.blocks.block import Block, identity, iter_blocks
from infopro_seg.models.blocks.tokens import Tokens, feature_map, normed_map


@iter_blocks.register
def _(encoder: MSCAN) -> Iterator[Block]:
    """The norm at the end of a stage is part of the trunk, so it belongs to the stage's last block."""
    for stage in range(1, encoder.num_stages + 1):
        name = f'patch_embed{stage}'
        embedding = getattr(encoder, name)
        yield Block(name, (embedding,), partial(_embed, embedding), feature=feature_map)
        *inner, last = getattr(encoder, f'block{stage}')
        for step, layer in enumerate(inner):
            yield Block(f'block{stage}.{step}', (layer,), partial(_run, layer), feature=feature_map)
        norm = getattr(encoder, f'norm{stage}')
        name = f'block{stage}.{len(inner)}'
        yield Block(name, (last, norm), partial(_run_last, last, norm), identity)


def _embed(embedding: nn.Module, state: Tensor) -> Tokens:
    sequence, height, width = embedding(state)
    return Tokens(sequence, (height, width))


def _run(layer: nn.Module, state: Tokens) -> Tokens:
    return Tokens(layer(state.sequence, *state.size), state.size)


def _run_last(layer: nn.Module, norm: nn.Module, state: Tokens) -> Tensor:
    return normed_map(norm, _run(layer, state))
