"""Tiny networks, batches and an encoder of our own: what the tests of the core are made of."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from mmengine import ConfigDict
from mmengine.model import BaseModule
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

import infopro_seg.models  # noqa: F401  (registers them)
from infopro_seg.models import Block, iter_blocks

CLASSES = 5
SIZE = (32, 64)
WIDTHS = (8, 16, 32, 64)  # of the outputs of the encoder below
MEAN, STD = (120.0, 110.0, 100.0), (60.0, 55.0, 50.0)
CUTS = ('layer2.0', 'layer3.1')

Config = dict[str, Any]


def encoder_config(**kwargs: Any) -> Config:
    return {'type': 'ResNetV1c', 'depth': 18, 'stem_channels': 8, 'base_channels': 8, **kwargs}


def head_config(weight: Any = 1.0, **kwargs: Any) -> Config:
    """A decode head without dropout and without `in_channels`, by default two convolutions."""
    own = {} if 'type' in kwargs else {'type': 'FCNHead', 'num_convs': 1, 'concat_input': False}
    return {
        'channels': 6,
        'num_classes': CLASSES,
        'dropout_ratio': 0.0,
        'norm_cfg': {'type': 'BN'},
        'loss_decode': {'type': 'CrossEntropyLoss', 'loss_weight': weight},
        **own,
        **kwargs,
    }


def local_head_config(recon: Any = 1.0, task: Any = 1.0) -> Config:
    return {
        'type': 'InfoProHead',
        'decoder': {
            'type': 'ReconstructionDecoder',
            'channels': (8, 6, 4),
            'loss_recon': {'type': 'ReconstructionLoss', 'loss_weight': recon},
        },
        'auxiliary_head': head_config(task),
    }


def deeplabv3plus_config() -> Config:
    low_level = {'c1_in_channels': WIDTHS[0], 'c1_channels': 4}
    return head_config(type='DepthwiseSeparableASPPHead', in_index=3, dilations=(1, 2), **low_level)


def upernet_config(in_index: tuple[int, ...] = (0, 1, 2, 3)) -> Config:
    return head_config(type='UPerHead', in_index=in_index, pool_scales=(1, 2))


def model_config(cuts: Any = CUTS, **kwargs: Any) -> Config:
    """A segmentor whose encoder is cut into `len(cuts) + 1` local modules."""
    backbone = {
        'type': 'InfoProBackbone',
        'encoder': kwargs.pop('encoder', encoder_config()),
        'cuts': cuts,
        'local_head': kwargs.pop('local_head', local_head_config() if cuts else None),
    }
    return {
        'type': 'InfoProEncoderDecoder',
        'data_preprocessor': {
            'type': 'SegDataPreProcessor',
            'mean': MEAN,
            'std': STD,
            'bgr_to_rgb': True,
            'size': SIZE,
            'seg_pad_val': 255,
        },
        'backbone': backbone,
        'decode_head': head_config(in_index=3),
        'auxiliary_head': head_config(0.4, in_index=2),
        'train_cfg': {},
        'test_cfg': {'mode': 'whole'},
        **kwargs,
    }


def stock_config(config: Config, widths: tuple[int, ...] = WIDTHS) -> Config:
    """The same network in plain mmseg: no local modules, `in_channels` written out."""

    def written_out(heads: Any) -> Any:
        if heads is None:
            return None
        if isinstance(heads, list):
            return [written_out(head) for head in heads]
        index = heads['in_index']
        several = isinstance(index, (list, tuple))
        return {**heads, 'in_channels': [widths[i] for i in index] if several else widths[index]}

    config = deepcopy(config)
    config['type'] = config['type'].removeprefix('InfoPro')
    config['backbone'] = config['backbone']['encoder']
    for name in ('decode_head', 'auxiliary_head'):
        config[name] = written_out(config[name])
    return config


def build(config: Config, seed: int = 0, double: bool = True) -> Any:
    """Builds a network in training mode; every parameter and BN statistic has a value of its own."""
    torch.manual_seed(seed)
    model = jitter(MODELS.build(ConfigDict(deepcopy(config))))
    model.train()
    return model.double() if double else model


@torch.no_grad()
def jitter(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        parameter += 0.1 * torch.randn_like(parameter)
    for name, buffer in module.named_buffers():
        if name.endswith(('running_mean', 'running_var')):
            buffer += torch.rand_like(buffer)
    return module


@torch.no_grad()
def settle(model: Any) -> Any:
    """Gives the encoder's BN the statistics of a batch: those of `jitter` leave nothing alive in testing."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.train().momentum = None
    model.backbone.encoder(preprocessed(model, make_batch(seed=99))[0])
    for norm in norms:
        norm.momentum = 0.1
    return model.train()


def load_stock(model: nn.Module, stock: nn.Module) -> None:
    """Copies a stock network's values by position, so that no state-dict hook takes part."""
    for kind in ('parameters', 'buffers'):
        ours = [t for name, t in getattr(model, f'named_{kind}')() if 'local_heads' not in name]
        theirs = list(getattr(stock, kind)())
        assert [t.shape for t in ours] == [t.shape for t in theirs]
        for target, source in zip(ours, theirs, strict=True):
            target.data.copy_(source)


def make_batch(count: int = 2, seed: int = 0, size: tuple[int, int] = SIZE) -> dict[str, Any]:
    """A batch as the data loader gives it: BGR bytes, and labels with some pixels to ignore."""
    random = torch.Generator().manual_seed(seed)
    inputs, samples = [], []
    for _ in range(count):
        inputs.append(torch.randint(0, 256, (3, *size), generator=random, dtype=torch.uint8))
        label = torch.randint(0, CLASSES, (1, *size), generator=random)
        label[torch.rand(1, *size, generator=random) < 0.1] = 255
        sample = SegDataSample(gt_sem_seg=PixelData(data=label))
        sample.set_metainfo({'img_shape': size, 'ori_shape': size, 'pad_shape': size})
        samples.append(sample)
    return {'inputs': inputs, 'data_samples': samples}


def preprocessed(model: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, list[SegDataSample]]:
    data = model.data_preprocessor(deepcopy(batch), True)
    return data['inputs'], data['data_samples']


def summed(losses: dict[str, torch.Tensor]) -> torch.Tensor:
    return sum(value for name, value in losses.items() if 'loss' in name)


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    """The gradients by stock name; parameters without one are left out."""
    return {
        name.replace('backbone.encoder.', 'backbone.'): parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def assert_same(actual: Any, expected: Any, **tolerance: float) -> None:
    """Equal keys and equal values, by default bit for bit."""
    torch.testing.assert_close(actual, expected, **(tolerance or {'rtol': 0.0, 'atol': 0.0}))


@MODELS.register_module()
class SideNormEncoder(BaseModule):
    """Three steps that hand on a pair of tensors; norms sit on the side outputs, as in Swin."""

    widths = (4, 8, 16)

    def __init__(self) -> None:
        super().__init__()
        ins = (3, *self.widths)
        self.steps = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(ins, self.widths, strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in self.widths)

    def step(self, index: int, state: Any) -> dict[str, torch.Tensor]:
        if index == 0:
            state = {'map': state, 'level': state.new_zeros(len(state), 1, 1, 1)}
        feature = self.steps[index](state['map']).relu()
        return {'map': feature, 'level': state['level'] + feature.mean((1, 2, 3), keepdim=True)}

    def output(self, index: int, state: Any) -> torch.Tensor:
        return self.norms[index](state['map']) + state['level']

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs, state = [], inputs
        for index in range(3):
            state = self.step(index, state)
            outputs.append(self.output(index, state))
        return tuple(outputs)


@iter_blocks.register
def _(encoder: SideNormEncoder):
    for index, step in enumerate(encoder.steps):
        yield Block(
            f'steps.{index}',
            (step,),
            lambda state, i=index: encoder.step(i, state),
            lambda state, i=index: encoder.output(i, state),
            lambda state: state['map'],
        )
