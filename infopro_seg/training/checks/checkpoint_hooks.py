"""Checks the checkpoint hooks of a config together: checkpoints are saved, and not lost to each other."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from mmengine.hooks import CheckpointHook
from mmengine.runner import EpochBasedTrainLoop

from infopro_seg.errors import ConfigError


def require_checkpoints(runner: Any) -> None:
    """Refuses checkpoint hooks that spoil each other's work, and warns if none saves anything.

    Args:
        runner: a runner whose hooks and training loop are built.

    Raises:
        ConfigError: two hooks share the best score, or one removes the checkpoints of another.
    """
    hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    best = [f'save_best={hook.save_best}' for hook in hooks if hook.save_best]
    if len(best) > 1:
        raise ConfigError(
            f'several CheckpointHooks of the config save the best checkpoint ({", ".join(best)}), and they '
            "share one best score; write one hook with several metrics, e.g. save_best=['mIoU', 'mAcc']"
        )
    for one, other in combinations(hooks, 2):
        places = {(hook.out_dir, hook.filename_tmpl) for hook in (one, other)}
        kept = max(one.max_keep_ckpts, other.max_keep_ckpts)
        if len(places) == 1 and kept > 0:
            raise ConfigError(
                f'two CheckpointHooks of the config save {one.filename_tmpl!r} in the same folder, and that '
                f'with max_keep_ckpts={kept} would remove what the other saves; give one of them another '
                "out_dir, or a filename_tmpl such as 'kept_{}.pth'"
            )
    if not any(_saves(hook, runner.train_loop) for hook in hooks):
        given = [f'interval={hook.interval}, save_last={hook.save_last}' for hook in hooks]
        runner.logger.warning(
            f'this training saves no checkpoint ({"; ".join(given) or "there is no CheckpointHook"}), and '
            "its last weights are lost; write default_hooks=dict(checkpoint=dict(type='CheckpointHook', "
            'by_epoch=False, interval=1000, save_last=True))'
        )


def _saves(hook: CheckpointHook, loop: Any) -> bool:
    """Whether a hook saves a checkpoint before the training ends, or at its end."""
    of_epochs = isinstance(loop, EpochBasedTrainLoop)
    length = getattr(loop, 'max_epochs' if hook.by_epoch else 'max_iters', None)
    if hook.save_last or length is None:
        return True
    if hook.by_epoch and not of_epochs:
        length = 1  # to mmengine, a training by iterations is one epoch
    return bool(hook.interval > 0 and (hook.save_begin or hook.interval) <= length)
