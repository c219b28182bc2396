"""Builds encoders; optional packages are imported only when a config names their encoders."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mmseg.registry import MODELS
from torch import nn

from infopro_seg.errors import CheckpointError, ConfigError
from infopro_seg.installing import torchvision

EXTRAS = {  # optional packages, and what to install with pip for each, besides torchvision
    'mmpretrain': 'onedl-mmpretrain model-index',
    'timm': 'timm',
}


def build_encoder(config: dict[str, Any]) -> nn.Module:
    """Builds an encoder from its config, e.g. `dict(type='ResNetV1c', depth=101)`.

    `mmpretrain.ConvNeXt` and the like come from mmpretrain, `TIMMBackbone` from timm.

    Raises:
        ConfigError: the encoder is not registered, its package is missing, or its `init_cfg` is invalid.
        CheckpointError: timm cannot load its pretrained weights.
    """
    kind = config.get('type')
    require_init(config.get('init_cfg'))
    if isinstance(kind, str):
        if kind.startswith('mmpretrain.'):
            import_package('mmpretrain.models', f'the encoder {kind!r}')
        elif _is_timm(kind):
            import_package('timm', f'the encoder {kind!r}')
        if MODELS.get(kind) is None:
            raise ConfigError(
                f'there is no encoder {kind!r}: no class with that name is registered; check the name, or '
                'import the module that registers it: custom_imports=dict(imports=["my_encoder"])'
            )
    try:
        encoder: nn.Module = MODELS.build(config)
    except (OSError, RuntimeError) as error:
        if not config.get('pretrained') or not isinstance(kind, str) or 'TIMM' not in kind:
            raise
        raise CheckpointError(
            f'cannot load the pretrained weights of timm.{config.get("model_name")} ({type(error).__name__}: '
            f'{error}). timm looks for them in the cache of the Hugging Face hub (HF_HOME) and downloads '
            'them; give a local file (encoder.checkpoint_path=FILE), or train from scratch '
            '(--cfg-options model.backbone.encoder.pretrained=False)'
        ) from error
    return encoder


def require_init(init: Any) -> None:
    """Checks that the `init_cfg` of an encoder is valid: None, a dict with a type, or a list of such dicts.

    Raises:
        ConfigError: `init_cfg` is invalid.
    """
    items = init if isinstance(init, (list, tuple)) else [init] if init else []
    for item in items:
        typed = isinstance(item, dict) and 'type' in item
        if not typed or (item['type'] == 'Pretrained' and not isinstance(item.get('checkpoint'), str)):
            raise ConfigError(
                f'the encoder has the invalid init_cfg={init!r}; write '
                'init_cfg=dict(type="Pretrained", checkpoint="FILE"), or init_cfg=None to train from scratch'
            )


def without_weights(config: dict[str, Any]) -> dict[str, Any]:
    """The config of an encoder with loading of weights turned off; timm's encoders load them when built."""
    return {**config, 'pretrained': False} if _is_timm(config.get('type')) else config


def _is_timm(kind: Any) -> bool:
    return isinstance(kind, str) and kind.removeprefix('mmseg.') == 'TIMMBackbone'


def import_package(module: str, user: str) -> None:
    """Imports a module of an optional package.

    Args:
        module: the module.
        user: what needs the module, for error messages.

    Raises:
        ConfigError: the package is not installed, or cannot be imported.
    """
    package = module.partition('.')[0]
    install = f'pip install {EXTRAS[package]} {torchvision()}'
    if find_spec(package) is None:
        raise ConfigError(f'{user} needs the package {package}, which is not installed: {install}')
    try:
        import_module(module)
    except ImportError as error:
        raise ConfigError(
            f'{user} needs the package {package}, which is installed but cannot be imported ({error}): '
            f'{install}'
        ) from error
