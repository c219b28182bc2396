"""Tiny instances of every encoder with a block rule."""

from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

import pytest

import infopro_seg.classification.cifar_resnet  # noqa: F401  registers it
from tests.stand_ins import encoder_config

BN = {'type': 'BN'}


@dataclass(frozen=True)
class Tiny:
    """An encoder.

    Args:
        encoder: its config; its outputs are all read by a UPerHead.
        blocks: names of its blocks: the first, one in the middle, and the last.
        package: the package it needs beside mmseg.
        size: height and width of the images it takes.
    """

    encoder: dict[str, Any] = field(hash=False)
    blocks: tuple[str, str, str]
    package: str | None = None
    size: tuple[int, int] = (32, 64)


def hrnet(**kwargs: Any) -> dict[str, Any]:
    def stage(modules: int, branches: int, block: str = 'BASIC', channels: int = 2) -> dict[str, Any]:
        return {
            'num_modules': modules,
            'num_branches': branches,
            'block': block,
            'num_blocks': (1,) * branches,
            'num_channels': tuple(channels * 2**i for i in range(branches)),
        }

    first = stage(1, 1, 'BOTTLENECK', 4)
    extra = {'stage1': first, 'stage2': stage(1, 2), 'stage3': stage(2, 3), 'stage4': stage(1, 4)}
    return {'type': 'HRNet', 'extra': extra, **kwargs}


def swin(**kwargs: Any) -> dict[str, Any]:
    own = {'embed_dims': 8, 'depths': (2, 1, 2, 1), 'num_heads': (1, 2, 2, 4), 'window_size': 3}
    return {'type': 'SwinTransformer', **own, 'drop_path_rate': 0.3, 'drop_rate': 0.1, **kwargs}


def mit(**kwargs: Any) -> dict[str, Any]:
    own = {'embed_dims': 8, 'num_layers': (2, 1, 2, 1), 'num_heads': (1, 2, 2, 4), 'mlp_ratio': 2}
    return {'type': 'MixVisionTransformer', **own, 'drop_path_rate': 0.3, 'drop_rate': 0.1, **kwargs}


def mscan(**kwargs: Any) -> dict[str, Any]:
    own = {'embed_dims': [8, 8, 16, 16], 'mlp_ratios': [2, 2, 2, 2], 'depths': [2, 1, 2, 1]}
    return {'type': 'MSCAN', **own, 'drop_path_rate': 0.3, 'drop_rate': 0.1, 'norm_cfg': BN, **kwargs}


def vit(kind: str = 'VisionTransformer', **kwargs: Any) -> dict[str, Any]:
    own = {'patch_size': 8, 'embed_dims': 12, 'num_layers': 4, 'num_heads': 2, 'mlp_ratio': 2}
    own |= {'out_indices': (1, 3), 'drop_path_rate': 0.3, 'attn_drop_rate': 0.1}
    return {'type': kind, 'img_size': (32, 64), **own, **kwargs}


def convnext(**kwargs: Any) -> dict[str, Any]:
    arch = {'depths': [2, 1, 2, 1], 'channels': [8, 8, 16, 16]}
    own = {'arch': arch, 'out_indices': [0, 1, 2, 3], 'gap_before_final_norm': False}
    return {'type': 'mmpretrain.ConvNeXt', **own, 'drop_path_rate': 0.3, **kwargs}


def timm(name: str, **kwargs: Any) -> dict[str, Any]:
    return {'type': 'TIMMBackbone', 'model_name': name, 'pretrained': False, **kwargs}


BOTTLENECKS = ('stem', 'layer3.2', 'layer4.2')
SWIN = ('patch_embed', 'stages.1.downsample', 'stages.3.blocks.0')
MIT = ('layers.0.0', 'layers.2.1.0', 'layers.3.1.0')
MSCAN = ('patch_embed1', 'block3.0', 'block4.0')
VIT = ('patch_embed', 'layers.1', 'layers.3')
CONVNEXT = ('downsample_layers.0', 'stages.2.0', 'stages.3.0')
HRNET = ('stem', 'stage3.0', 'stage4.0')

ENCODERS = {
    'resnet': Tiny(encoder_config(type='ResNet', with_cp=True), ('stem', 'layer3.0', 'layer4.1')),
    'resnet_v1d': Tiny(encoder_config(type='ResNetV1d', depth=50), BOTTLENECKS),
    'resnext': Tiny(
        encoder_config(type='ResNeXt', depth=50, base_channels=16, groups=4, base_width=8), BOTTLENECKS
    ),
    'resnest': Tiny(encoder_config(type='ResNeSt', depth=50, radix=2, reduction_factor=4), BOTTLENECKS),
    'resnet_v1c': Tiny(encoder_config(), ('stem', 'layer3.0', 'layer4.1')),
    'cifar_resnet': Tiny(
        {'type': 'CifarResNet', 'depth': 8, 'base_channels': 4, 'out_indices': (0, 1, 2)},
        ('stem', 'layer2.0', 'layer3.0'),
    ),
    'mobilenet_v2': Tiny(
        {'type': 'MobileNetV2', 'widen_factor': 0.25, 'strides': (1, 2, 2, 1, 1, 1, 1)},
        ('conv1', 'layer3.1', 'layer7.0'),
    ),
    'mobilenet_v2_checkpointed': Tiny(
        {'type': 'MobileNetV2', 'widen_factor': 0.25, 'out_indices': (6,), 'with_cp': True, 'norm_cfg': BN},
        ('conv1', 'layer3.1', 'layer7.0'),
    ),
    'mobilenet_v3_small': Tiny(
        {'type': 'MobileNetV3', 'out_indices': (0, 1, 12)}, ('layer0', 'layer4', 'layer12')
    ),
    'mobilenet_v3_large': Tiny(
        {'type': 'MobileNetV3', 'arch': 'large', 'out_indices': (2, 16)}, ('layer0', 'layer4', 'layer16')
    ),
    'hrnet': Tiny(hrnet(), HRNET),
    'hrnet_single_output': Tiny(hrnet(multiscale_output=False, norm_eval=True), HRNET),
    'hrnet_checkpointed': Tiny(hrnet(with_cp=True, norm_eval=True), HRNET),
    'swin': Tiny(swin(), SWIN),
    'swin_checkpointed': Tiny(swin(with_cp=True, drop_path_rate=0.0, drop_rate=0.0), SWIN),
    'swin_absolute_position': Tiny(
        swin(use_abs_pos_embed=True, pretrain_img_size=64, out_indices=(0, 3)), SWIN, size=(64, 64)
    ),
    'mit': Tiny(mit(), MIT),
    'mit_checkpointed': Tiny(mit(with_cp=True, out_indices=(1, 3)), MIT),
    'mscan': Tiny(mscan(), MSCAN),
    'vit': Tiny(vit(), VIT),
    'vit_checkpointed': Tiny(vit(with_cp=True, drop_rate=0.1, final_norm=True), VIT),
    'vit_without_class_token': Tiny(
        vit(img_size=24, with_cls_token=False, pre_norm=True, patch_norm=True, out_origin=True), VIT
    ),
    'beit': Tiny(vit('BEiT'), VIT),
    'mae': Tiny(vit('MAE', final_norm=True), VIT),
    'convnext': Tiny(convnext(), CONVNEXT, 'mmpretrain'),
    'convnext_v2': Tiny(
        convnext(use_grn=True, layer_scale_init_value=0.0, with_cp=True), CONVNEXT, 'mmpretrain'
    ),
    'timm_resnet': Tiny(
        timm('resnet18', block_args={}, channels=(8, 8, 16, 16), stem_width=8, drop_path_rate=0.3),
        ('timm_model.bn1', 'timm_model.layer3.0', 'timm_model.layer4.1'),
        'timm',
    ),
    'timm_convnext': Tiny(
        timm('convnext_atto', depths=(2, 1, 2, 1), dims=(8, 8, 16, 16), drop_path_rate=0.3),
        ('timm_model.stem_1', 'timm_model.stages_2.downsample', 'timm_model.stages_3.blocks.0'),
        'timm',
    ),
    'timm_efficientnet': Tiny(
        timm('efficientnet_lite0', drop_path_rate=0.3),
        ('timm_model.bn1', 'timm_model.blocks.3.1', 'timm_model.blocks.6.0'),
        'timm',
    ),
    'timm_mobilenet_v3': Tiny(
        timm('mobilenetv3_small_050'),
        ('timm_model.bn1', 'timm_model.blocks.3.1', 'timm_model.blocks.5.0'),
        'timm',
    ),
    'timm_regnet': Tiny(
        timm('regnetx_002'), ('timm_model.stem', 'timm_model.s3.b2', 'timm_model.s4.b7'), 'timm'
    ),
}

A_FEW = {  # one or two of each block rule, where what is tested does not depend on more
    'resnet',
    'mobilenet_v2',
    'mobilenet_v3_small',
    'hrnet',
    'swin',
    'mit',
    'mscan',
    'vit_checkpointed',
    'beit',
    'convnext_v2',
    'timm_resnet',
    'timm_convnext',
}


@cache
def is_missing(package: str | None) -> bool:
    """Whether a package cannot be imported; also one that is there without what it needs itself."""
    try:
        import_module(package or __name__)
    except ImportError:
        return True
    return False


def params(names: Any = ENCODERS) -> list[Any]:
    """The encoders as parameters of a test; those of packages that are not installed are skipped."""
    return [
        pytest.param(
            tiny := ENCODERS[name],
            id=name,
            marks=pytest.mark.skipif(is_missing(tiny.package), reason=f'{tiny.package} is not installed'),
        )
        for name in sorted(names)
    ]
