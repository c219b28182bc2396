"""The decoder of a local head, which reconstructs the image and so estimates I(h, x)."""

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
    """Binary cross-entropy between the decoded image and the image (paper, section 5), averaged over pixels.

    It takes logits, because CUDA autocast rejects binary cross-entropy on probabilities.

    Args:
        loss_weight: lambda_recon. In a backbone's `local_head` it may list values, from the first local head
            to the last, with linear interpolation between.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, image: Tensor) -> Tensor:
        """The loss, a scalar, of logits (N, 3, H, W) against an image in [0, 1] of the same shape."""
        return self.loss_weight * F.binary_cross_entropy_with_logits(logits, image)


@MODELS.register_module()
class ReconstructionDecoder(BaseModule):
    """Decodes a feature map into the image (paper, section 5 and appendix).

    A 1x1 convolution reduces the feature map to the first width. 3x3 convolutions follow, each after an
    upsampling by two; the last one gives RGB. Sizes are counted back from the image: the last convolution
    works at the image's resolution, the one before at half of it, and so on, but never below that of the
    feature map. So feature maps of any stride end at the same resolution. The last steps take most of the
    memory; `stride` reduces it.

    Args:
        in_channels: channels of the feature map.
        channels: numbers of channels between the feature map and RGB.
        norm_cfg: norm after every convolution but the last; None for none.
        act_cfg: activation after every convolution but the last; None for none.
        align_corners: whether upsampling aligns the corners of the maps.
        loss_recon: config of the loss.
        stride: reconstructs the image at 1 / stride of its resolution; the target is averaged over areas.
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
        """Decodes a feature map into logits of an RGB image.

        Args:
            feature: the feature map, (N, C, h, w).
            size: height and width of the image, (H, W).

        Returns:
            Logits, (N, 3, H // stride, W // stride).
        """
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
        """The weighted reconstruction loss, a scalar.

        Args:
            feature: the feature map, (N, C, h, w).
            image: RGB in [0, 1], (N, 3, H, W).
        """
        logits = self(feature, image.shape[2:])
        if logits.shape != image.shape:
            image = F.adaptive_avg_pool2d(image, logits.shape[2:])
        loss: Tensor = self.loss_recon(logits, image)
        return loss
