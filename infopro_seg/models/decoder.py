"""What a local head reconstructs the image with: an estimate of I(h, x)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor, nn

BATCH_NORM = {'type': 'BN'}
RELU = {'type': 'ReLU'}


@MODELS.register_module()
class ReconstructionLoss(BaseModule):
    """Binary cross-entropy between the decoded image and the image, the mean over pixels and channels.

    On logits, because BCE on a sigmoid is rejected under CUDA autocast (paper, section 5: the
    reconstruction loss of I(h, x)).

    Args:
        loss_weight: lambda_recon; a pair in a backbone's `local_head` runs from the first local
            module to the last.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, image: Tensor) -> Tensor:
        """Compares logits (N, 3, H, W) with an image in [0, 1] of the same shape; a scalar."""
        return self.loss_weight * F.binary_cross_entropy_with_logits(logits, image)


@MODELS.register_module()
class ReconstructionDecoder(BaseModule):
    """Decodes a feature map into the image (paper, section 5 and appendix).

    A 1x1 convolution to the first width, then 3x3 convolutions to the others and to RGB, each after an
    upsampling by two. The sizes are the image's, halved once per convolution still to come but never
    coarser than the feature map, so feature maps of any stride end at the same resolution. Most of the
    memory lies in the last steps: an image at a fraction of the resolution costs a fraction of it.

    Args:
        in_channels: channels of the feature map.
        channels: widths between the feature map and RGB.
        norm_cfg: norm after every convolution but the last; None for none.
        act_cfg: activation after every convolution but the last; None for none.
        align_corners: of the upsampling.
        loss_recon: config of the loss.
        stride: reconstruct the image at 1 / stride of its resolution, averaged over areas.
        init_cfg: mmengine's initialisation config.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int] = (128, 32, 12),
        norm_cfg: dict[str, Any] | None = BATCH_NORM,
        act_cfg: dict[str, Any] | None = RELU,
        align_corners: bool = False,
        loss_recon: dict[str, Any] | None = None,
        stride: int = 1,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.align_corners = align_corners
        self.loss_recon = MODELS.build(loss_recon or {'type': 'ReconstructionLoss'})
        self.stride = stride
        layers: list[nn.Module] = []
        for index, width in enumerate(channels):
            kernel = 1 if index == 0 else 3
            layers.append(
                ConvModule(
                    in_channels,
                    width,
                    kernel,
                    padding=kernel // 2,
                    norm_cfg=norm_cfg,
                    act_cfg=act_cfg,
                )
            )
            in_channels = width
        layers.append(nn.Conv2d(in_channels, 3, 3, padding=1))
        self.convs = nn.ModuleList(layers)

    def forward(self, feature: Tensor, size: tuple[int, int]) -> Tensor:
        """Decodes a feature map (N, C, h, w) into RGB logits (N, 3, *size), divided by the stride."""
        end = [max(1, side // self.stride) for side in size]
        doublings = max(0, round(math.log2(end[0] / feature.shape[2])))
        hidden: Tensor = self.convs[0](feature)
        for to_come, conv in reversed(list(enumerate(reversed(self.convs[1:])))):
            target = [max(1, side >> min(to_come, doublings)) for side in end]
            if hidden.shape[2:] != torch.Size(target):
                hidden = resize(
                    hidden,
                    size=target,
                    mode='bilinear',
                    align_corners=self.align_corners,
                    warning=False,
                )
            hidden = conv(hidden)
        return hidden

    def loss(self, feature: Tensor, image: Tensor) -> Tensor:
        """The weighted reconstruction loss of a feature map against its image (N, 3, H, W) in [0, 1]."""
        logits = self(feature, image.shape[2:])
        if logits.shape != image.shape:
            image = F.adaptive_avg_pool2d(image, logits.shape[2:])
        loss: Tensor = self.loss_recon(logits, image)
        return loss
