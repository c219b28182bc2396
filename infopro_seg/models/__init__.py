"""The network and its training step.

Read `backbone` first: it runs the local modules one after the other and yields their losses. `local_training`
adds the losses of neck and heads, and `train_step` runs a backward pass for each. `segmentor` makes all this
a segmentor of mmseg.

Folders: `blocks` says where each encoder may be cut. `local_heads` has what trains a module, `losses` what
decode heads share with it. `recomputation` and `asynchronous` are options.
"""

import infopro_seg.models.point_sample  # noqa: F401  PointRend's head works once it is imported
from infopro_seg.models.asynchronous.turn_backbone import InfoProStageBackbone
from infopro_seg.models.backbone import InfoProBackbone
from infopro_seg.models.blocks import Block, iter_blocks, smallest_image, split_blocks
from infopro_seg.models.local_heads.contrastive_head import ContrastiveHead
from infopro_seg.models.local_heads.decoder import ReconstructionDecoder, ReconstructionLoss
from infopro_seg.models.local_heads.local_head import InfoProHead
from infopro_seg.models.losses.lean_loss import LeanCrossEntropyLoss, head_losses
from infopro_seg.models.segmentor import InfoProCascadeEncoderDecoder, InfoProEncoderDecoder

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
