"""Edits of configs: parts are removed, added or replaced; also finds the encoder in a config.

Nothing here builds or imports a model.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from infopro_seg.errors import ConfigError


def edited(node: Any, edit: Callable[[Any], Any]) -> Any:
    """A copy of a part of a config in which `edit` has replaced every node, innermost first.

    Args:
        node: dicts, lists and tuples, at any nesting.
        edit: called with each dict, list, tuple and value; returns its replacement. Containers are copies
            that it may change.
    """
    if isinstance(node, dict):
        return edit(type(node)({key: edited(value, edit) for key, value in node.items()}))
    if isinstance(node, (list, tuple)):
        return edit(type(node)(edited(item, edit) for item in node))
    return edit(node)


def without_pretraining(model: Any) -> Any:
    """A copy of a model's config that loads no pretrained weights, because a checkpoint replaces them."""

    def edit(node: Any) -> Any:
        if isinstance(node, dict):
            if isinstance(node.get('init_cfg'), dict) and node['init_cfg'].get('type') == 'Pretrained':
                node['init_cfg'] = None
            if 'pretrained' in node:
                node['pretrained'] = None
        return node

    return edited(model, edit)


def without_local_modules(model: Any) -> Any:
    """A copy of a model's config for inference: without cuts, whether `num_modules` is resolved or not."""
    model = copy.deepcopy(model)
    backbone = model.get('backbone') or {}  # some models of mmseg have none
    if 'cuts' in backbone or 'num_modules' in backbone:
        backbone.update(cuts=(), num_modules=None, local_head=None, checkpoint=False)
        without_turn(backbone)
        without_balance(backbone)
    return model


def with_crop(part: Any, crop: tuple[int, int]) -> Any:
    """A copy of a part of a config in which every RandomCrop has another size."""

    def edit(node: Any) -> Any:
        if is_random_crop(node) and height_and_width(node['crop_size']) != tuple(crop):
            node['crop_size'] = crop
        return node

    return edited(part, edit)


def height_and_width(size: Any) -> tuple[int, int]:
    """Height and width of a crop or window, which a config may give as one number."""
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


def is_random_crop(step: Any) -> bool:
    """Whether a node of a config is a `RandomCrop`, of mmseg or of mmpretrain."""
    kind = step.get('type') if isinstance(step, dict) else None
    return isinstance(kind, str) and kind.rpartition('.')[2] == 'RandomCrop'


def with_turn(backbone: Any, turn: int) -> None:
    """Changes the config of a backbone, in place, so that only one local module trains."""
    backbone.update(type='InfoProStageBackbone', stage=turn)


def without_turn(backbone: Any) -> None:
    """Changes the config of a backbone, in place, so that all local modules train."""
    if backbone.pop('stage', None) is not None:
        backbone['type'] = 'InfoProBackbone'


def without_balance(backbone: Any) -> None:
    """Removes from the config of a backbone, in place, the options by which `num_modules` finds cuts."""
    for name in ('balance', 'budgets'):
        backbone.pop(name, None)


def backbone_of(cfg: Any) -> Any:
    """The config of the backbone in a config, or in the config of a model alone."""
    return cfg.get('model', cfg)['backbone']


def encoder_of(cfg: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The config of the encoder, and its cuts; works for stock mmseg models too.

    Raises:
        ConfigError: the config has no backbone, or the backbone has no type.
    """
    backbone = (cfg.get('model') or {}).get('backbone')
    if backbone is None:
        kind = (cfg.get('model') or {}).get('type')
        raise ConfigError(
            f'the config has no model.backbone (its model is {kind!r}); give one of a model with it'
        )
    encoder = backbone.get('encoder', backbone)
    if not isinstance(encoder, dict) or 'type' not in encoder:
        raise ConfigError(
            f'the encoder {encoder!r} is not a config; write e.g. dict(type="ResNetV1c", depth=101)'
        )
    return encoder, tuple(backbone.get('cuts') or ())
