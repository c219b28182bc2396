"""Saves the state of early stopping in checkpoints, and the fact that a run has stopped early."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.hooks import CheckpointHook, EarlyStoppingHook, Hook
from mmengine.registry import HOOKS

STOPPED_EARLY = 'stopped_early'  # the key of the last iteration in mmengine's message hub
STATES = 'early_stopping'  # the key of the state of each EarlyStoppingHook, in the same hub


@HOOKS.register_module()
class EarlyStopHook(Hook):
    """Makes a run that a hook has stopped early count as finished, also when it is resumed.

    If the hooks of the config have changed, the run trains on. Every runner of this package has this hook.
    """

    priority = 'VERY_HIGH'  # before the hooks that write results and checkpoints, after those that stop

    def __init__(self) -> None:
        self.is_over = False

    def before_train(self, runner: Any) -> None:
        """Ends a resumed run at once if it had stopped early."""
        if self.is_over:
            runner.logger.warning(
                f'the run stopped early at iteration {runner.iter} and is finished; to train on, remove the '
                'hook that stopped it, or change its settings'
            )
            runner.train_loop.stop_training = True
        else:
            runner.message_hub.runtime_info.pop(STOPPED_EARLY, None)

    def after_train(self, runner: Any) -> None:
        """Records an early end, and saves a checkpoint if the loop does not do so itself."""
        loop = runner.train_loop
        if not getattr(loop, 'stop_training', False) or runner.iter >= runner.max_iters:
            return
        runner.message_hub.update_info(STOPPED_EARLY, runner.iter)
        savers = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
        if savers and not hasattr(loop, '_save'):
            step = runner.epoch if savers[0].by_epoch else runner.iter
            savers[0]._save_checkpoint_with_step(runner, step, {'epoch': runner.epoch, 'iter': runner.iter})

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Records the state of early stopping; if the validation fails later, this is undone."""
        states = [(hook.wait_count, float(hook.best_score)) for hook in _stoppers(runner)]
        if states:
            runner.message_hub.update_info(STATES, states)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Restores the state, on resuming only."""
        if not runner._resume:
            return
        hooks, states = _stoppers(runner), _known(checkpoint).get(STATES, ())
        for hook, (wait_count, best_score) in zip(hooks, states, strict=False):
            hook.wait_count, hook.best_score = wait_count, best_score
        self.is_over = stopped_early(checkpoint) and _same_hooks(checkpoint, runner.cfg)


def is_finished(runner: Any) -> bool:
    """Whether a training has finished: its last iteration and validation, or an early stop."""
    if getattr(runner.train_loop, 'interrupted', False):
        return False  # perhaps in the last validation
    return bool(runner.iter >= runner.max_iters or STOPPED_EARLY in runner.message_hub.runtime_info)


def stopped_early(checkpoint: Mapping[str, Any]) -> bool:
    """Whether a checkpoint was saved at the end of a run that a hook stopped early."""
    return STOPPED_EARLY in _known(checkpoint)


def _known(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = checkpoint.get('message_hub', {}).get('runtime_info', {})
    return found


def _stoppers(runner: Any) -> list[EarlyStoppingHook]:
    return [hook for hook in runner.hooks if isinstance(hook, EarlyStoppingHook)]


def _same_hooks(checkpoint: Mapping[str, Any], config: Config) -> bool:
    trained = Config.fromstring(checkpoint['meta']['cfg'], '.py')
    return all(trained.get(key) == config.get(key) for key in ('default_hooks', 'custom_hooks'))
