"""Configs with mmseg's own losses, the reference of what lean losses save."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from infopro_seg.memory.profile import without_cuts


def stock_losses(cfg: Any) -> Any:
    """A copy of a config with mmseg's cross-entropy where it has the lean one, and nothing recomputed."""
    if isinstance(cfg, Config):
        cfg = cfg.to_dict()
    if isinstance(cfg, dict):
        kept = {key: stock_losses(value) for key, value in cfg.items()}
        if kept.get('type') == 'LeanCrossEntropyLoss':
            kept['type'] = 'CrossEntropyLoss'
        kept.pop('checkpoint_heads', None)
        return kept
    return type(cfg)(stock_losses(item) for item in cfg) if isinstance(cfg, (list, tuple)) else cfg


def has_stock_losses(cfg: Any) -> bool:
    """Whether a config has no lean losses; recomputing heads do not count, recipes say that of their own."""
    cfg = without_cuts(cfg)
    cfg.get('model', cfg)['backbone'].pop('checkpoint_heads', None)
    own = cfg.to_dict() if isinstance(cfg, Config) else cfg
    return bool(stock_losses(own) == own)
