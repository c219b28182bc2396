"""ResNets of fewer blocks than mmseg has: what is traced takes time for each of its operations."""

from __future__ import annotations

from typing import Any

from mmseg.models.backbones import ResNetV1c
from mmseg.models.backbones.resnet import BasicBlock
from mmseg.registry import MODELS

from tests.stand_ins import encoder_config


@MODELS.register_module()
class ShortResNet(ResNetV1c):
    """With stages of one block and of two."""

    arch_settings = {7: (BasicBlock, (1, 2, 2, 1)), 5: (BasicBlock, (1, 1, 1, 1))}


def short_encoder(blocks: int = 7, **kwargs: Any) -> dict[str, Any]:
    """Of 7 blocks, stem included: two in layer2 and layer3; or of 5."""
    return encoder_config(type='ShortResNet', depth=blocks, **kwargs)
