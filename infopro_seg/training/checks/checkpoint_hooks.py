"""Checks the checkpoint hooks of a config together: checkpoints are saved, and not lost to each other."""

from __future__ import annotations

from itertools import permutations
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
    for one, other in permutations(hooks, 2):
        places = {(hook.out_dir, hook.filename_tmpl) for hook in (one, other)}
        if len(places) == 1 and _removes(one, other):
            raise ConfigError(
                f'two CheckpointHooks of the config name {one.filename_tmpl!r} in the same folder, and that '
                f'with max_keep_ckpts={one.max_keep_ckpts} would remove what the other saves; give one of '
                "them another out_dir, or a filename_tmpl such as 'kept_{}.pth'"
            )
    loop = runner.train_loop
    if not any(_saves(hook, loop) for hook in hooks):
        given = [f'interval={hook.interval}, save_last={hook.save_last}' for hook in hooks]
        saved = 'only the best checkpoint' if best and _validates(runner) else 'no checkpoint'
        runner.logger.warning(
            f'this training saves {saved} ({"; ".join(given) or "there is no CheckpointHook"}), and '
            "its last weights are lost; write default_hooks=dict(checkpoint=dict(type='CheckpointHook', "
            'by_epoch=False, interval=1000, save_last=True))'
        )


def _numbers(hook: CheckpointHook) -> bool:
    """Whether a hook saves others than the best checkpoint."""
    return bool(hook.interval > 0 or hook.save_last)


def _removes(one: CheckpointHook, other: CheckpointHook) -> bool:
    """Whether a hook removes what another saves in the same folder and under the same name."""
    if not _numbers(other):
        return False
    if _numbers(one):
        return bool(one.max_keep_ckpts > 0)
    return bool(0 < one.max_keep_ckpts < other.max_keep_ckpts)  # when it resumes: hooks share the noted names


def _validates(runner: Any) -> bool:
    """Whether there is a validation before the training ends, or at its end."""
    loop = runner.train_loop
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    end = getattr(loop, 'max_epochs' if by_epoch else 'max_iters', None)
    return runner._val_loop is not None and (end is None or getattr(loop, 'val_begin', 1) <= end)


def _saves(hook: CheckpointHook, loop: Any) -> bool:
    """Whether a hook saves a numbered checkpoint before the training ends, or at its end."""
    length = getattr(loop, 'max_epochs' if hook.by_epoch else 'max_iters', None)  # by iterations, 1 epoch
    if hook.save_last or length is None:
        return True
    return bool(hook.interval > 0 and (hook.save_begin or hook.interval) <= length)
