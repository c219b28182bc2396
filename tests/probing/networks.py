"""Checkpoints of tiny networks, and one that forgets everything at a known block."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from infopro_seg.models import Block, iter_blocks
from infopro_seg.probing.network import FrozenEncoder
from tests.stand_ins import build, model_config


def config_for(model: dict[str, Any]) -> Config:
    return Config({'model': deepcopy(model), 'default_scope': 'mmseg'})


def save(path: Path, model: dict[str, Any], seed: int = 0, meta: bool = True) -> Path:
    """A checkpoint of a network whose values are its own, as a training writes it."""
    state_dict = build(model, seed, double=False).state_dict()
    content = {'state_dict': state_dict, 'meta': {'cfg': config_for(model).dump()} if meta else {}}
    torch.save(content, path)
    return path


def frozen(path: Path, model: dict[str, Any] | None = None) -> FrozenEncoder:
    model = model or model_config()
    return FrozenEncoder(config_for(model), save(path / 'network.pth', model))


@MODELS.register_module()
class ForgetfulEncoder(BaseModule):
    """Shrinks the image to half, mixes its channels, and then loses everything."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(3, 4, 1)

    def shrink(self, state: torch.Tensor) -> torch.Tensor:
        return self.mix(nn.functional.avg_pool2d(state, 2))

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.shrink(inputs) * 0,)


@iter_blocks.register
def _(encoder: ForgetfulEncoder):
    yield Block('keep', (encoder.mix,), encoder.shrink)
    yield Block('lose', (), lambda state: state * 0)
    yield Block('after', (), lambda state: state + 1, lambda state: state)


def patches(count: int, seed: int, patch: int = 8, size: tuple[int, int] = (16, 32)) -> dict[str, Any]:
    """Images of patches of random colours; class 1 where red is above 0.7, every tenth pixel ignored."""
    random = torch.Generator().manual_seed(seed)
    inputs, samples = [], []
    for _ in range(count):
        small = torch.rand(3, size[0] // patch, size[1] // patch, generator=random)
        image = small.repeat_interleave(patch, 1).repeat_interleave(patch, 2)
        label = (image[:1] > 0.7).long()
        label[torch.rand(1, *size, generator=random) < 0.1] = 255
        sample = SegDataSample(gt_sem_seg=PixelData(data=label))
        sample.set_metainfo({'img_shape': size, 'ori_shape': size, 'pad_shape': size})
        inputs.append((image * 255).round().byte().flip(0))  # BGR, as files are loaded
        samples.append(sample)
    return {'inputs': inputs, 'data_samples': samples}
