"""The networks of the shipped configs with a few channels each, so that a CPU trains them in a second."""

from __future__ import annotations

from typing import Any

from infopro_seg.config_edits import without_pretraining

SIZE = (64, 128)
RESNETS = ('ResNet', 'ResNetV1c', 'ResNetV1d', 'ResNeXt', 'ResNeSt')


def thin(model: Any, size: tuple[int, int] = SIZE) -> Any:
    """A copy of a model's config: the same types, depths, cuts and losses, but a few channels, on a CPU."""
    model = without_pretraining(model)
    _thin_heads({key: value for key, value in model.items() if key != 'backbone'})
    _thin_heads(model.backbone.get('local_head') or {})
    _thin_encoder(model.backbone.encoder)
    model.data_preprocessor.size = size
    return model


def _thin_heads(node: Any) -> None:
    if isinstance(node, (list, tuple)):
        for item in node:
            _thin_heads(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ('channels', 'ocr_channels', 'c1_channels'):
                node[key] = (4,) * len(value) if isinstance(value, (list, tuple)) else 4
            else:
                _thin_heads(value)


def _thin_encoder(encoder: Any) -> None:
    kind = encoder.type
    if kind in RESNETS:
        encoder.update(base_channels=4, stem_channels=4)
    elif kind == 'MobileNetV2':
        encoder.widen_factor = 0.25
    elif kind == 'HRNet':
        for stage in encoder.extra.values():
            stage.num_channels = tuple(4 * 2**index for index in range(stage.num_branches))
    elif kind == 'SwinTransformer':
        encoder.embed_dims = 24
    elif kind == 'MixVisionTransformer':
        encoder.embed_dims = 8
    elif kind == 'mmpretrain.ConvNeXt':
        encoder.arch = {'depths': [3, 3, 9, 3], 'channels': [8, 16, 32, 64]}
    else:
        raise NotImplementedError(f'no way to shrink {kind} yet')
