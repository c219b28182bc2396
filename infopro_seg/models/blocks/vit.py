"""Blocks of plain vision transformers: ViT, BEiT, MAE."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeAlias

import torch
from mmseg.models.backbones import MAE, BEiT, VisionTransformer
from torch import Tensor, nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.blocks.block import Block, Output, iter_blocks, smallest_image
from infopro_seg.models.blocks.tokens import Tokens, feature_map, run_layer

Transformer: TypeAlias = VisionTransformer | BEiT
Position: TypeAlias = Callable[[Tensor, tuple[int, int]], Tensor]


@iter_blocks.register
def _(encoder: VisionTransformer) -> Iterator[Block]:
    if encoder.output_cls_token:
        raise ConfigError(
            'output_cls_token=True of VisionTransformer makes its outputs pairs, but heads here read feature '
            'maps; leave it out'
        )
    modules = [encoder.patch_embed, encoder.drop_after_pos]
    modules += [encoder.pre_ln] if encoder.pre_norm else []
    parameters = (encoder.cls_token, encoder.pos_embed)
    output = feature_map if encoder.out_origin else None
    embed = partial(_embed, encoder, partial(_resized_position, encoder))
    yield Block('patch_embed', tuple(modules), embed, output, feature_map, parameters)
    yield from _layers(encoder)


@iter_blocks.register
def _(encoder: BEiT) -> Iterator[Block]:
    embed = partial(_embed, encoder, _no_position)
    modules = (encoder.patch_embed,)
    yield Block('patch_embed', modules, embed, None, feature_map, (encoder.cls_token,))
    yield from _layers(encoder)


@iter_blocks.register
def _(encoder: MAE) -> Iterator[Block]:
    embed = partial(_embed, encoder, partial(_fixed_position, encoder))
    modules = (encoder.patch_embed,)
    parameters = (encoder.cls_token, encoder.pos_embed)
    yield Block('patch_embed', modules, embed, None, feature_map, parameters)
    yield from _layers(encoder)


@smallest_image.register
def _(encoder: BEiT) -> tuple[int, int]:
    """BEiT and MAE have relative positions for one image size."""
    height, width = encoder.img_size
    return height, width


def _layers(encoder: Transformer) -> Iterator[Block]:
    """The layers; the final norm is part of the last one."""
    for index, layer in enumerate(encoder.layers):
        last = index == len(encoder.layers) - 1
        norm: nn.Module | None = encoder.norm1 if last and encoder.final_norm else None
        modules = (layer,) if norm is None else (layer, norm)
        output: Output | None = feature_map if index in encoder.out_indices else None
        yield Block(f'layers.{index}', modules, partial(run_layer, layer, norm), output, feature_map)


def _embed(encoder: Transformer, position: Position, image: Tensor) -> Tokens:
    patches, size = encoder.patch_embed(image)
    class_tokens = encoder.cls_token.expand(len(image), -1, -1)
    sequence = position(torch.cat((class_tokens, patches), dim=1), size)
    if isinstance(encoder, VisionTransformer):
        if not encoder.with_cls_token:
            sequence = sequence[:, 1:]
        if encoder.pre_norm:
            sequence = encoder.pre_ln(sequence)
    return Tokens(sequence, size)


def _no_position(sequence: Tensor, size: tuple[int, int]) -> Tensor:
    return sequence


def _fixed_position(encoder: MAE, sequence: Tensor, size: tuple[int, int]) -> Tensor:
    added: Tensor = sequence + encoder.pos_embed
    return added


def _resized_position(encoder: VisionTransformer, sequence: Tensor, size: tuple[int, int]) -> Tensor:
    added: Tensor = encoder._pos_embeding(sequence, size, encoder.pos_embed)
    return added
