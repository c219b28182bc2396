"""What a turn of an asynchronous training has reached, as its latest checkpoint says."""

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
from infopro_seg.training.resuming import latest_checkpoint


@dataclass(frozen=True)
class TurnResult:
    """The latest checkpoint of a turn.

    Args:
        checkpoint: its file.
        finished: whether it is of the turn's last iteration, or of an early stop.
        cuts: names of the blocks after which gradients stopped.
        weights: digest of all weights of the network.
        weights_before: the same of the turn before, from which this one started; None for the first.
    """

    checkpoint: Path
    finished: bool
    cuts: tuple[str, ...]
    weights: str
    weights_before: str | None


def turn_result(cfg: Config, by_its_own_length: bool = False) -> TurnResult | None:
    """What a turn has reached; None for one that has not begun.

    Args:
        cfg: the config of the turn, with its own `work_dir`.
        by_its_own_length: whether it is finished if it has reached the iterations that it was trained with,
            where `cfg` has others that are not meant for it.

    Raises:
        ConfigError: the config does not say how many iterations the turn has.
        CheckpointError: its latest checkpoint is gone or cannot be read.
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
    """A short text that differs wherever a weight does."""
    found = hashlib.sha256()
    for name, value in state_dict.items():
        found.update(name.encode())
        found.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
