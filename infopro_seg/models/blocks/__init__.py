"""The smallest steps of each encoder, after which it may be cut: one rule per family of encoders."""

from infopro_seg.models.blocks import resnet  # noqa: F401  the rules
from infopro_seg.models.blocks.block import Block, iter_blocks, probe_size, split_blocks, stage_blocks

__all__ = [
    'Block',
    'iter_blocks',
    'probe_size',
    'split_blocks',
    'stage_blocks',
]
