"""Blocks of timm's encoders behind mmseg's `TIMMBackbone`; imported when such an encoder is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TypeAlias

from mmseg.models.backbones import TIMMBackbone
from timm.models._features import FeatureListNet
from timm.models.convnext import ConvNeXtStage
from timm.models.efficientnet import EfficientNetFeatures
from timm.models.mobilenetv3 import MobileNetV3Features
from timm.models.regnet import RegStage
from torch import nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.blocks.block import Block, identity, iter_blocks, run_in_turn

Step: TypeAlias = tuple[str, nn.Module]


@iter_blocks.register
def _(encoder: TIMMBackbone) -> Iterator[Block]:
    """Networks that timm turns into a list of modules: ResNets, ConvNeXts, RegNets, and many more.

    Stages that timm runs layer by layer can be cut after every layer, other stages only at their end.
    Modules without parameters run with the next module.
    """
    pending: list[Step] = []
    for name, module, returned in _children(encoder.timm_model):
        path = f'timm_model.{name}'
        layers = list(_layers(path, module))
        is_stage = layers != [(path, module)]
        if is_stage and _trains(pending):
            yield _block(pending, False)
            pending = []
        for step, layer in enumerate(layers):
            pending.append(layer)
            ends = returned and step == len(layers) - 1
            if ends or (is_stage and _trains(pending)):
                yield _block(pending, ends)
                pending = []
    if pending:
        yield _block(pending, False)


def _children(net: nn.Module) -> Iterator[tuple[str, nn.Module, bool]]:
    """Name and module of each step of a network, and whether the network returns its result."""
    if isinstance(net, FeatureListNet) and str(net.output_fmt).endswith('NCHW') and not net.concat:
        for name, module in net.items():
            yield name, module, name in net.return_layers
    elif isinstance(net, (EfficientNetFeatures, MobileNetV3Features)) and net.feature_hooks is None:
        stem = [name for name in ('conv_stem', 'bn1', 'act1') if hasattr(net, name)]
        for name in stem:
            yield name, getattr(net, name), name == stem[-1] and 0 in net._stage_out_idx
        for index, stage in enumerate(net.blocks):
            yield f'blocks.{index}', stage, index + 1 in net._stage_out_idx
    else:
        raise ConfigError(
            f'cannot cut the timm encoder {type(net).__name__}: it is not a list of modules that pass on '
            'feature maps (N, C, H, W); choose a resnet, resnext, convnext, regnet, efficientnet or '
            'mobilenetv3 with features_only=True, or an encoder of mmseg'
        )


def _layers(path: str, module: nn.Module) -> Iterator[Step]:
    """The layers that a stage runs in order; the stage itself if it does not run layer by layer."""
    if getattr(module, 'grad_checkpointing', False):
        yield path, module
    elif isinstance(module, RegStage) or _is_stage(module):
        yield from ((f'{path}.{name}', layer) for name, layer in module.named_children())
    elif isinstance(module, ConvNeXtStage):
        yield f'{path}.downsample', module.downsample
        yield from ((f'{path}.blocks.{step}', layer) for step, layer in enumerate(module.blocks))
    else:
        yield path, module


def _is_stage(module: nn.Module) -> bool:
    """Whether a module runs whole layers, not a convolution, its norm and an activation."""
    return type(module) is nn.Sequential and all(any(layer.children()) for layer in module)


def _trains(steps: Sequence[Step]) -> bool:
    return any(True for _, module in steps for _ in module.parameters())


def _block(steps: Sequence[Step], returned: bool) -> Block:
    """A block that runs steps, named after the last one with parameters."""
    names = [name for name, module in steps if any(True for _ in module.parameters())]
    modules = tuple(module for _, module in steps)
    forward = modules[0] if len(modules) == 1 else partial(run_in_turn, modules)
    return Block((names or [steps[-1][0]])[-1], modules, forward, identity if returned else None)
