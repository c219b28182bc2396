"""Undoes a validation that is interrupted, on all ranks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.hooks import EMAHook, Hook

from infopro_seg.training.interruptions.interrupts import Interrupts
from infopro_seg.training.interruptions.ranks import Ranks


class ValidationGuard(Hook):
    """Makes a validation, and the test after training, interruptible, and undoes what it has changed.

    It takes back `EMAHook`'s swap of weights, and a best score whose checkpoint is not written yet. This is
    the last of the hooks, so that none runs between it and the iterations of the validation.

    Args:
        interrupts: receives the signals.
        ranks: the ranks, which must agree before the results are collected.
        agree: raises if any rank ends.
    """

    priority = 'LOWEST'

    def __init__(self, interrupts: Interrupts, ranks: Ranks, agree: Callable[[], None]) -> None:
        self.interrupts, self.ranks, self.agree = interrupts, ranks, agree
        self.at_images = True  # whether each of several ranks may end a validation before its next image
        self.together = True  # whether the other ranks will come to `agree`
        self.trained = False
        self._noted: dict[str, Any] | None = None
        self.testing = False  # whether the test after training is running
        self._swapped: list[EMAHook] = []

    @property
    def validating(self) -> bool:
        """Whether a validation is running."""
        return self._noted is not None

    def before_train(self, runner: Any) -> None:
        """Watches the swaps of weights."""
        for hook in runner.hooks:
            if isinstance(hook, EMAHook):
                self._watch(hook)

    def before_val(self, runner: Any) -> None:
        """Records the state of the run before the validation."""
        self._noted = dict(runner.message_hub.runtime_info)

    def before_val_epoch(self, runner: Any) -> None:
        """From here on a signal ends the validation; with several processes, at their next image."""
        self.interrupts.at_once = not self.ranks.several

    def before_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Ends the validation if another rank ends, or if this one is asked to."""
        if self.ranks.several and self.at_images and (self.interrupts.asked or self.ranks.ends()):
            self.ranks.tell()
            self._agree_at_last()

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Lets all ranks agree after their last image, before they wait for each other's results."""
        if batch_idx + 1 == len(runner.val_dataloader):
            self.interrupts.at_once = False
            self._agree_at_last()

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Runs after the validation."""
        self.together = True
        self._noted = None
        self.interrupts.at_once = self.trained

    def before_test(self, runner: Any) -> None:
        """In the test after training, ranks no longer meet in `agree`, but wait for results."""
        self.together = False
        self.testing = True

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Runs after the test."""
        self.together = True
        self.testing = False

    def after_train_epoch(self, runner: Any) -> None:
        """What follows may be interrupted at once."""
        self.trained = self.interrupts.at_once = True

    @contextmanager
    def as_trained(self) -> Iterator[None]:
        """Puts the trained weights into the model, if a hook has swapped them for a validation."""
        swapped = list(self._swapped)
        for hook in swapped:
            hook._swap_ema_parameters()
        try:
            yield
        finally:
            for hook in swapped:
                hook._swap_ema_parameters()

    def undo(self, runner: Any) -> None:
        """Undoes a validation that has not finished."""
        for hook in list(self._swapped):
            hook._swap_ema_parameters()
        if self._noted is not None:
            info = runner.message_hub.runtime_info
            info.clear()
            info.update(self._noted)
            self._noted = None

    def _agree_at_last(self) -> None:
        self.agree()
        self.together = False  # the other ranks wait for this rank's results

    def _watch(self, hook: EMAHook) -> None:
        """Tracks whether a hook's weights are in the model; mmengine does not."""
        swap = hook._swap_ema_parameters

        def noted() -> None:
            swap()
            (self._swapped.remove if hook in self._swapped else self._swapped.append)(hook)

        hook._swap_ema_parameters = noted
