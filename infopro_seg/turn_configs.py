"""The configs of asynchronous training: `stages` of a config, one for each local module."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from infopro_seg.config_edits import with_turn
from infopro_seg.errors import ConfigError

Options = Mapping[str, Any] | None


def require_turns(cfg: Config, turn: int | None = None) -> int:
    """Checks the `stages` of a config and returns their number.

    Args:
        cfg: the config.
        turn: the index of a turn that must exist, or None.

    Raises:
        ConfigError: `stages` is missing, its length is wrong, or it lacks the given turn.
    """
    turns = cfg.get('stages')
    backbone = cfg.get('model', {}).get('backbone') or {}
    count = backbone.get('num_modules') or len(backbone.get('cuts') or ()) + 1
    if turns is None:
        raise ConfigError(
            f'--stage {turn}, but the config {cfg.filename} trains all local modules at once; to train its '
            f'{count} in turn, add stages=[{", ".join(["dict()"] * count)}], each dict with what is '
            'different for that one'
        )
    if not isinstance(turns, (list, tuple)) or not all(isinstance(item, dict) for item in turns):
        raise ConfigError(
            f'stages={turns!r} of the config; write a list of {count} dicts, each with what is different '
            'for that local module, e.g. dict(train_cfg=dict(max_iters=20000)), or dict()'
        )
    if len(turns) != count:
        raise ConfigError(
            f'stages lists {len(turns)} dicts, but the model has {count} local modules; write one for each, '
            'dict() where nothing is different'
        )
    if turn is not None and turn not in range(count):
        raise ConfigError(
            f'no stage {turn}: the config has {count} stages; give --stage 0 to {count - 1}, or none for all'
        )
    return count


def turn_config(cfg: Config, turn: int, options: Options = None) -> Config:
    """The config of one turn: the common config with the turn's own settings and its own folder.

    Args:
        cfg: a config with `stages`.
        turn: index of the turn.
        options: overrides of the config, which win over those of the turn.

    Raises:
        ConfigError: the settings of the turn cannot be merged into the config.
    """
    part = copy.deepcopy(cfg)
    changes = part.pop('stages')[turn]
    try:
        part.merge_from_dict(changes.to_dict() if hasattr(changes, 'to_dict') else dict(changes))
        kept = ('stages', 'work_dir')  # which are settled
        part.merge_from_dict({k: v for k, v in (options or {}).items() if k.partition('.')[0] not in kept})
        with_turn(part.model.backbone, turn)
    except (TypeError, KeyError, AttributeError, AssertionError) as error:
        raise ConfigError(
            f'stages[{turn}] does not fit the config: {error}; write a part of a config in it, e.g. '
            'dict(train_cfg=dict(max_iters=20000)), or dict()'
        ) from error
    if part.get('work_dir'):
        part.work_dir = str(Path(part.work_dir) / f'stage_{turn}')
    name = part.get('experiment_name') or Path(part.filename or 'training').stem
    part.experiment_name = f'{name}_stage_{turn}'  # mmengine's loggers and pictures go by name
    if part.get('visualizer'):
        part.visualizer.name = f'{part.visualizer.get("name") or "visualizer"}_stage_{turn}'
    if turn < len(cfg.stages) - 1:  # no complete network yet to validate
        part.val_dataloader = part.val_cfg = part.val_evaluator = None
    return part
