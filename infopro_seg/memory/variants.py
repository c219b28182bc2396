"""Variants of a config that a plan compares: end to end, with mmseg's losses, or with frozen stages.

Unlike `config_edits`, this module looks up classes that the config names.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from infopro_seg.config_edits import backbone_of, edited, without_balance, without_turn
from infopro_seg.errors import ConfigError
from infopro_seg.models.backbone import InfoProBackbone
from infopro_seg.models.local_heads.local_head import head_configs

FREEZABLE = range(1, 4)  # values of frozen_stages to try


def require_infopro(cfg: Any) -> None:
    """Checks that the backbone of a config can be split into local modules.

    Raises:
        ConfigError: the backbone is not an `InfoProBackbone`.
    """
    kind = (cfg.get('model', cfg).get('backbone') or {}).get('type')
    wrapper = MODELS.get(kind) if isinstance(kind, str) else kind
    if not (isinstance(wrapper, type) and issubclass(wrapper, InfoProBackbone)):
        raise ConfigError(
            f'the model has the backbone {kind!r}, not an InfoProBackbone: it cannot be split into local '
            'modules; wrap it in an InfoProEncoderDecoder: backbone=dict(type="InfoProBackbone", '
            'encoder=dict(...), local_head=dict(...))'
        )


def without_cuts(cfg: Any) -> Any:
    """A copy of a config whose encoder is trained end to end.

    Raises:
        ConfigError: the backbone is not an `InfoProBackbone`.
    """
    require_infopro(cfg)
    cfg = copy.deepcopy(cfg)
    backbone = backbone_of(cfg)
    backbone['cuts'] = ()
    if lists_heads(cfg):
        backbone['local_head'] = None  # a list has one head per cut
    backbone.pop('num_modules', None)
    backbone.pop('checkpoint', None)
    without_turn(backbone)
    without_balance(backbone)
    return cfg


def has_local_heads(cfg: Any) -> bool:
    """Whether a config has a local head, so that it can train in local modules."""
    return bool(backbone_of(cfg).get('local_head'))


def lists_heads(cfg: Any) -> bool:
    """Whether a config lists a local head for each cut, rather than one for all."""
    return not isinstance(backbone_of(cfg).get('local_head'), (dict, type(None)))


def with_listed_heads(cfg: Any, modules: int) -> Any:
    """A copy of a config that lists one local head per cut if these differ; else the config itself."""
    config = backbone_of(cfg).get('local_head')
    if modules < 2 or not isinstance(config, dict):
        return cfg
    heads = head_configs(config, modules - 1)
    alike = all(head == heads[0] for head in heads)
    if alike and heads[0] == config:
        return cfg
    cfg = copy.deepcopy(cfg)
    backbone_of(cfg)['local_head'] = heads[0] if alike else heads  # resolved for this number of modules
    return cfg


def stock_losses(cfg: Any) -> Any:
    """A copy of a config with mmseg's cross-entropy in place of the lean one, and without recomputation."""

    def edit(node: Any) -> Any:
        if isinstance(node, dict):
            if node.get('type') == 'LeanCrossEntropyLoss':
                node['type'] = 'CrossEntropyLoss'
            node.pop('checkpoint_heads', None)
        return node

    return edited(_plain(cfg), edit)


def has_stock_losses(cfg: Any) -> bool:
    """Whether a config has no lean losses; recomputation in heads does not matter, because recipes set it."""
    cfg = without_cuts(cfg)
    backbone_of(cfg).pop('checkpoint_heads', None)
    return bool(stock_losses(cfg) == _plain(cfg))


def frozen_stages(encoder: dict[str, Any]) -> list[int]:
    """The values of `frozen_stages` above an encoder's own; empty if it has no such option.

    Args:
        encoder: the config of the encoder.
    """
    with DefaultScope.overwrite_default_scope('mmseg'):
        kind = MODELS.get(encoder['type']) if isinstance(encoder.get('type'), str) else encoder.get('type')
    if not inspect.isclass(kind):
        return []
    options = [inspect.signature(cls).parameters for cls in kind.__mro__ if cls is not object]
    if not any('frozen_stages' in parameters for parameters in options):
        return []
    own = encoder.get('frozen_stages')
    stages = encoder.get('num_stages') or len(encoder.get('depths') or FREEZABLE)  # of ResNets, of Swin
    return [count for count in FREEZABLE if count <= stages and (own is None or count > own)]


def _plain(cfg: Any) -> Any:
    return cfg.to_dict() if isinstance(cfg, Config) else cfg
