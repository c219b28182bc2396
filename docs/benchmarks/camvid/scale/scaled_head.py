"""A trial: what a local head reads through a momentum block is scaled and shifted, as in MAN++.

MAN++ (Su et al., *MAN++: Scaling Momentum Auxiliary Network for Supervised Local Learning in Vision Tasks*,
2025) corrects the features of the averaged block by a "learnable scaling bias". Here that is a scale and a
shift of each channel. Only the paper's abstract was at hand, so its own form may differ.
"""

from __future__ import annotations

from typing import Any

import torch
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor, nn

from infopro_seg.models.local_heads.local_head import InfoProHead


@MODELS.register_module()
class ScaledInfoProHead(InfoProHead):
    """A local head that learns a scale (1 at first) and a shift (0 at first) of each channel that it reads.

    Args:
        in_channels: channels of the feature map.
        **options: those of `InfoProHead`.
    """

    def __init__(self, in_channels: int, **options: Any) -> None:
        super().__init__(in_channels, **options)
        self.scale = nn.Parameter(torch.ones(in_channels, 1, 1))
        self.shift = nn.Parameter(torch.zeros(in_channels, 1, 1))

    def loss(self, feature: Tensor, image: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """The losses of `InfoProHead`, of the scaled feature map (N, C, h, w)."""
        return super().loss(feature * self.scale + self.shift, image, data_samples)

    def reconstruct(self, feature: Tensor, size: tuple[int, int]) -> Tensor | None:
        """The image that `InfoProHead` decodes from the scaled feature map (N, C, h, w)."""
        return super().reconstruct(feature * self.scale + self.shift, size)
