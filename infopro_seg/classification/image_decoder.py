"""The decoder of the paper's classification networks."""

from __future__ import annotations

from typing import Any

from mmcv.cnn import ConvModule
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor

from infopro_seg.models.local_heads.decoder import BATCH_NORM, RELU, ReconstructionDecoder


@MODELS.register_module()
class ImageDecoder(ReconstructionDecoder):
    """Decodes a feature map into the image: bilinear upsampling to its size, then two 3x3 convolutions.

    Args:
        in_channels: channels of the feature map.
        channels: channels between the convolutions.
        norm_cfg: norm of the first convolution; None for none.
        act_cfg: its activation; None for none.
        kwargs: `align_corners`, `loss_recon`, `stride` and `init_cfg` of
            :class:`infopro_seg.models.ReconstructionDecoder`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int = 12,
        norm_cfg: dict[str, Any] | None = BATCH_NORM,
        act_cfg: dict[str, Any] | None = RELU,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, (channels,), norm_cfg, act_cfg, **kwargs)
        self.convs[0] = ConvModule(in_channels, channels, 3, padding=1, norm_cfg=norm_cfg, act_cfg=act_cfg)

    def forward(self, feature: Tensor, size: tuple[int, int]) -> Tensor:
        """Decodes a feature map (N, C, h, w) into RGB logits (N, 3, *size), divided by the stride."""
        end = [max(1, side // self.stride) for side in size]
        hidden: Tensor = feature
        if list(feature.shape[2:]) != end:
            hidden = resize(
                feature, size=end, mode='bilinear', align_corners=self.align_corners, warning=False
            )
        for conv in self.convs:
            hidden = conv(hidden)
        return hidden
