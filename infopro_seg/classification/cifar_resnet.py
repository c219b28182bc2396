"""The ResNets for images of 32x32 pixels."""

from __future__ import annotations

from typing import Any

from mmcv.cnn import build_conv_layer, build_norm_layer
from mmseg.models.backbones import ResNet
from mmseg.models.backbones.resnet import BasicBlock
from mmseg.registry import MODELS
from torch import nn

from infopro_seg.errors import ConfigError

DEPTHS = {6 * count + 2: count for count in range(1, 201)}


@MODELS.register_module()
class CifarResNet(ResNet):
    """ResNet of depth 6n + 2 (He et al., CVPR 2016, section 4.2): three stages of n blocks, nothing pooled.

    The stem is one 3x3 convolution; the stages have 16, 32 and 64 channels at strides 1, 2 and 4. A shortcut
    that changes the size is a 1x1 convolution, as in the paper's networks.

    Args:
        depth: 20, 32, 44, 56, 110, ...
        base_channels: channels of the stem and of the first stage.
        zero_init_residual: whether each residual branch starts at zero.
        out_indices: indices of the stages whose outputs are returned.
        kwargs: other arguments of mmseg's `ResNet`.

    Raises:
        ConfigError: the depth is not 6n + 2.
    """

    arch_settings = {depth: (BasicBlock, (count,) * 3) for depth, count in DEPTHS.items()}

    def __init__(
        self,
        depth: int,
        base_channels: int = 16,
        zero_init_residual: bool = False,
        out_indices: tuple[int, ...] = (2,),
        **kwargs: Any,
    ) -> None:
        if depth not in DEPTHS:
            raise ConfigError(
                f'depth={depth} of CifarResNet is not 6n + 2; write one such as 20, 32, 44, 56 or 110'
            )
        super().__init__(
            depth,
            **{
                'stem_channels': base_channels,
                'num_stages': 3,
                'strides': (1, 2, 2),
                'dilations': (1, 1, 1),
                **kwargs,
            },
            base_channels=base_channels,
            zero_init_residual=zero_init_residual,
            out_indices=out_indices,
        )

    def _make_stem_layer(self, in_channels: int, stem_channels: int) -> None:
        self.conv1 = build_conv_layer(self.conv_cfg, in_channels, stem_channels, 3, padding=1, bias=False)
        self.norm1_name, norm = build_norm_layer(self.norm_cfg, stem_channels, postfix=1)
        self.add_module(self.norm1_name, norm)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity()
