"""Whether a config trains a classifier; nothing here imports mmpretrain."""

from __future__ import annotations

from typing import Any

from infopro_seg.errors import ConfigError

TOP1 = 'accuracy/top1'


def is_classifier(cfg: Any) -> bool:
    """Whether the model of a config classifies whole images.

    Args:
        cfg: a config, or the config of its model.
    """
    kind = (cfg.get('model') or cfg).get('type')
    name = kind if isinstance(kind, str) else getattr(kind, '__name__', '')
    return name.rpartition('.')[2].endswith('ImageClassifier')


def refuse_classifier(cfg: Any, what: str, instead: str = '') -> None:
    """Refuses a config whose model classifies whole images, where only segmentors make sense.

    Args:
        cfg: a config.
        what: what is asked for, e.g. `tools/export.py`.
        instead: what to do.

    Raises:
        ConfigError: the model classifies whole images.
    """
    if is_classifier(cfg):
        kind = cfg.model.type
        raise ConfigError(
            f'{what} is for segmentors, and {kind} gives one class for an image'
            + (f'; {instead}' if instead else '')
        )
