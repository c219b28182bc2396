"""Catches up on a validation that an interrupted run did not finish."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop

VALIDATED = 'last_validated_iter'  # a key that starts with `val` would be logged as a metric


class DueValidationHook(Hook):
    """After a resume, validates first if the checkpoint was saved just before a validation.

    mmengine saves a checkpoint, then validates. A run that was stopped in between would continue without
    this validation, and perhaps without its best checkpoint. Every runner of this package has this hook.
    """

    priority = 'LOW'  # before CheckpointHook, so that its checkpoint after a validation contains the note

    def __init__(self) -> None:
        self._asked = False

    def before_train_epoch(self, runner: Any) -> None:
        """Validates if a validation is due; in training by iterations, the whole training is one epoch."""
        if self._asked:
            return
        self._asked = True
        if validation_is_due(runner):
            runner.logger.info(f'the validation at iteration {runner.iter} was not finished; it runs first')
            runner.val_loop.run()

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Notes that the validation is done, after hooks that learn from it."""
        runner.message_hub.update_info(VALIDATED, runner.iter)


def validation_is_due(runner: Any) -> bool:
    """Whether a validation is due at the current iteration and has not been done."""
    return bool(_validates_here(runner) and runner.message_hub.get_info(VALIDATED) != runner.iter)


def _validates_here(runner: Any) -> bool:
    loop = runner.train_loop
    if runner.val_loop is None or runner.iter == 0:
        return False
    loop._decide_current_val_interval()
    if isinstance(loop, EpochBasedTrainLoop):
        done, last = loop._epoch, loop._max_epochs
    else:
        done, last = loop._iter, loop._max_iters
    return bool(done > 0 and done >= loop.val_begin and (done % loop.val_interval == 0 or done == last))
