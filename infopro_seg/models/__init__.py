"""The network: block rules, the backbone wrapper, local heads, the segmentor."""

import infopro_seg.models.point_sample  # noqa: F401  PointRend's head works once it is imported
from infopro_seg.models.backbone import InfoProBackbone
from infopro_seg.models.blocks import Block, iter_blocks, smallest_image, split_blocks
from infopro_seg.models.contrastive_head import ContrastiveHead
from infopro_seg.models.decoder import ReconstructionDecoder, ReconstructionLoss
from infopro_seg.models.lean_loss import LeanCrossEntropyLoss, head_losses
from infopro_seg.models.local_head import InfoProHead
from infopro_seg.models.segmentor import InfoProCascadeEncoderDecoder, InfoProEncoderDecoder
from infopro_seg.models.turn_backbone import InfoProStageBackbone

__all__ = [
    'Block',
    'ContrastiveHead',
    'InfoProBackbone',
    'InfoProCascadeEncoderDecoder',
    'InfoProEncoderDecoder',
    'InfoProHead',
    'InfoProStageBackbone',
    'LeanCrossEntropyLoss',
    'ReconstructionDecoder',
    'ReconstructionLoss',
    'head_losses',
    'iter_blocks',
    'smallest_image',
    'split_blocks',
]
