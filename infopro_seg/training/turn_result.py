"""The progress of a turn of asynchronous training, read from its latest checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from torch import Tensor

from infopro_seg.checkpoints import config_of, read_checkpoint
from infopro_seg.errors import ConfigError
from infopro_seg.hooks.early_stop import stopped_early
from infopro_seg.training.resuming.checkpoint import latest_checkpoint


@dataclass(frozen=True)
class TurnResult:
    """The latest checkpoint of a turn.

    Args:
        checkpoint: the file.
        finished: whether the turn has reached its last iteration or an early stop.
        cuts: names of the blocks after which gradients stopped.
        weights: digest of all weights of the network.
        weights_before: digest of the previous turn's weights, from which this one started; None for the
            first turn.
    """

    checkpoint: Path
    finished: bool
    cuts: tuple[str, ...]
    weights: str
    weights_before: str | None


def turn_result(cfg: Config, by_its_own_length: bool = False) -> TurnResult | None:
    """The progress of a turn; None if it has not begun.

    Args:
        cfg: the config of the turn, with its own `work_dir`.
        by_its_own_length: whether the turn counts as finished if it has reached the `max_iters` that it was
            trained with, even if `cfg` has another number.

    Raises:
        ConfigError: the config has no `max_iters` for the turn.
        CheckpointError: the latest checkpoint is missing or cannot be read.
    """
    last = (cfg.get('train_cfg') or {}).get('max_iters')
    if last is None:
        raise ConfigError('stages count iterations: give train_cfg a max_iters, for each stage or for all')
    checkpoint = latest_checkpoint(cfg)
    if checkpoint is None:
        return None
    content = read_checkpoint(checkpoint)
    trained = config_of(content, checkpoint)
    if by_its_own_length:
        last = min(last, (trained.get('train_cfg') or {}).get('max_iters') or last)
    return TurnResult(
        checkpoint=checkpoint,
        finished=content['meta'].get('iter', 0) >= last or stopped_early(content),
        cuts=tuple(trained.model.backbone.get('cuts') or ()),
        weights=digest(content['state_dict']),
        weights_before=trained.get('weights_before'),
    )


def digest(state_dict: Mapping[str, Tensor]) -> str:
    """A short text that differs if any weight differs."""
    found = hashlib.sha256()
    for name, value in state_dict.items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
