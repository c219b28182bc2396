"""The smallest steps of each encoder, after which it may be cut: one rule per family of encoders."""

from infopro_seg.models.blocks import hrnet, mit, mobilenet, mscan, resnet, swin, vit  # noqa: F401  the rules
from infopro_seg.models.blocks.block import Block, iter_blocks, smallest_image, split_blocks, stage_blocks
from infopro_seg.models.blocks.tokens import Tokens, feature_map

__all__ = [
    'Block',
    'Tokens',
    'feature_map',
    'iter_blocks',
    'smallest_image',
    'split_blocks',
    'stage_blocks',
]
