"""The training loop: mmengine's, made exactly resumable and safe to end at any time."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from mmengine.dist import get_rank
from mmengine.hooks import CheckpointHook, EMAHook, ParamSchedulerHook
from mmengine.registry import LOOPS
from mmengine.runner import IterBasedTrainLoop
from mmseg.registry import DATASETS

from infopro_seg.consoles import leave_out
from infopro_seg.datasets.seeding import SeededDataset, seed_random, seeded_modules
from infopro_seg.errors import DivergedError, RankError
from infopro_seg.faults import headline
from infopro_seg.hooks.ordered_checkpoints import save_unfinished
from infopro_seg.hooks.pending_gradients import PendingGradientsHook, average_gradients, has_gradients
from infopro_seg.training.interruptions.interrupts import Interrupts, Stopped, killed_worker, workers_may_die
from infopro_seg.training.interruptions.out_of_memory import (
    TEST,
    VALIDATION,
    let_go,
    phase_of,
    ran_out_of_memory,
)
from infopro_seg.training.interruptions.ranks import PATIENCE, Ranks
from infopro_seg.training.interruptions.rollback import Rollback
from infopro_seg.training.interruptions.validation_guard import ValidationGuard


@LOOPS.register_module()
class ResumableIterBasedTrainLoop(IterBasedTrainLoop):
    """`IterBasedTrainLoop` that continues after a resume as if it had not been stopped.

    Every sample and every iteration has its own random seed, so neither depends on what ran before, and a
    resumed run need not load the data already seen. If Ctrl-C, SIGTERM or any exception ends the run early,
    the last completed iteration is saved for `--resume`, and no rank is left waiting.

    Args:
        runner: the runner.
        dataloader: config of the training data loader.
        max_iters: number of iterations.
        seed_per_module: whether each local module also has its own seed in each iteration. Module-parallel
            training does so; with this option a single process gets the same weights.
        kwargs: the other arguments of `IterBasedTrainLoop`.
    """

    def __init__(
        self,
        runner: Any,
        dataloader: dict[str, Any],
        max_iters: int,
        seed_per_module: bool = False,
        **kwargs: Any,
    ) -> None:
        dataloader = {
            **dataloader,
            'dataset': SeededDataset(DATASETS.build(dataloader['dataset'])),
            'sampler': {'type': 'SeededSampler', 'sampler': dataloader['sampler']},
        }
        super().__init__(runner, dataloader, max_iters, **kwargs)
        self.seed_per_module = seed_per_module
        self.data_rank = get_rank()  # this process's rank among those that load images
        self.interrupted = False  # whether a signal ended it, perhaps after its last iteration
        self.saved: str | None = None  # the checkpoint saved at an early end
        self.ended_in: str | None = None  # the part that ran out of memory: of an iteration, or validation
        self._agreed = False  # whether all ranks have agreed to end
        self._whole = True  # whether the last iteration was completed
        self._interrupts, self._ranks = Interrupts(), Ranks()
        self._guard = ValidationGuard(self._interrupts, self._ranks, self._agree)
        self._rollback = Rollback(runner)
        runner.register_hook(PendingGradientsHook())  # so that none is lost; mmengine would warn about it
        leave_out(runner.logger, 'Resumed iteration number is not divisible by `_accumulative_counts`')
        runner.register_hook(self._guard)

    def run(self) -> Any:
        """Trains up to `max_iters`, or until interrupted.

        Raises:
            RankError: another process of the training has ended.
        """
        batches = self.dataloader.batch_sampler  # of torch, or of the user's choice
        getattr(batches, 'sampler', self.dataloader.sampler).reseed(self.runner.seed)
        if self._iter >= self._max_iters:
            self.runner.logger.info(
                f'nothing to train: the run has reached max_iters={self._max_iters}; to extend it, raise '
                'train_cfg.max_iters and the end of param_scheduler'
            )
        failure: BaseException | None = None
        with self._interrupts:
            try:
                super().run()
                self._agree(ends=False)
            except BaseException as error:
                failure = error
            self._interrupts.at_once = False
            if failure is not None:
                killed = killed_worker(failure, self.dataloader_iterator)
                with workers_may_die():
                    failure = self._end(failure, killed)
            elif self._iter < self._max_iters:  # a hook has stopped it
                self._save()
        if failure is not None:
            raise failure
        return self.runner.model

    def run_iter(self, data_batch: Any) -> None:
        """One iteration, under its own seed (dropout draws from it)."""
        self._agree_on_iteration()
        self._guard.together = False  # until the step is done, other ranks wait for this rank's gradients
        seed = (self.runner.seed, self.data_rank, self._iter)
        seed_random(seed)
        self.runner.call_hook('before_train_iter', batch_idx=self._iter, data_batch=data_batch)
        self._whole = False
        try:
            with self._rollback, seeded_modules(seed) if self.seed_per_module else nullcontext():
                outputs = self.runner.model.train_step(data_batch, optim_wrapper=self.runner.optim_wrapper)
        finally:
            self._whole = self._rollback.undone
        self._guard.together = True
        self._complete(data_batch, outputs)

    def _complete(self, data_batch: Any, outputs: Any) -> None:
        """Runs the hooks of an iteration and counts it.

        If a hook fails, later hooks that are part of the training still run before the error is passed on.
        The optimizer's step is done, and learning rate and averages must belong to the same iteration.
        """
        failure: BaseException | None = None
        whole = True
        for hook in self.runner.hooks:
            if failure is not None and isinstance(hook, CheckpointHook):
                continue
            try:
                hook.after_train_iter(
                    self.runner, batch_idx=self._iter, data_batch=data_batch, outputs=outputs
                )
            except BaseException as error:
                failure = failure or error
                whole = whole and not isinstance(hook, (ParamSchedulerHook, EMAHook))
        self._iter += 1
        self._whole = whole
        if failure is not None:
            raise failure

    def _agree_on_iteration(self) -> None:
        """Ends the loop before an iteration, on all ranks."""
        self._agree()

    def _agree(self, ends: bool | None = None) -> None:
        """Ends the loop on all ranks if any of them ends; by default, a rank ends if a signal asks it to."""
        if self._ranks.any(self._interrupts.asked if ends is None else ends):
            self._agreed = True
            raise self._ranks.fault() or Stopped

    def _end(self, error: BaseException, killed: BaseException | None = None) -> BaseException | None:
        """Saves what can be saved, and returns the error to raise; None if the user asked for the end.

        If saving fails, the error gets a note.

        Args:
            error: the error that was raised.
            killed: the error for a killed data-loading worker that caused it, if any.
        """
        if killed is not None and self._interrupts.asked:
            error, killed = Stopped(), None  # the signal went to the workers too
        self.interrupted = isinstance(error, Stopped)
        cause = killed or self._ranks.explain(error)
        if isinstance(cause, OSError) and cause.errno is not None and cause.filename is None:
            cause.filename = self.runner.work_dir  # errors of a write do not name the file
        if cause is not error:
            cause.__cause__ = error
        is_full = ran_out_of_memory(cause)
        if is_full:
            evaluation = VALIDATION if self._guard.validating else TEST if self._guard.testing else None
            self.ended_in = evaluation or phase_of(cause)
            self._log(cause)
            let_go(cause)  # saving takes memory too
        try:
            self._guard.undo(self.runner)
            together = self._part(cause)
            if not self.interrupted and not is_full:
                self._log(cause)
            self._save(together, diverged=isinstance(cause, DivergedError))
        except BaseException as failure:
            if self.interrupted:
                return failure
            cause.add_note(
                f'the {self._iter} iterations so far are not saved: {headline(failure)}{self._newest()}'
            )
        return None if self.interrupted else cause

    def _part(self, cause: BaseException) -> bool:
        """Tells the other ranks that this one ends; returns whether all end at the same iteration."""
        ours = not isinstance(cause, (RankError, KeyboardInterrupt))
        self._ranks.tell(headline(cause) if ours else None)
        if self._agreed:
            return True
        if not self._guard.together or isinstance(cause, RankError):
            return False  # they wait for this rank's part of the iteration, or it waits for a lost rank
        try:
            return self._ranks.any(True, PATIENCE)
        except RankError:
            return False

    def _log(self, cause: BaseException) -> None:
        """Writes to the log file why the training ends, and what the visualizer still holds."""
        if not isinstance(cause, KeyboardInterrupt):
            text = f'the training ends in iteration {self._iter + 1}: {headline(cause)}'
            self.runner.logger.error(text, exc_info=cause, extra={'file_only': True})
        with suppress(Exception):  # the disk may be full
            self.runner.visualizer.close()

    def _save(self, together: bool = True, diverged: bool = False) -> None:
        """Saves what an unfinished run has reached, where `--resume` finds it.

        Args:
            together: whether all ranks save at this iteration.
            diverged: whether the weights are NaN or infinite.
        """
        if together:
            average_gradients(self.runner)
        elif self._ranks.several and has_gradients(self.runner):
            raise RankError('accumulated gradients of lost ranks are missing')
        if self._iter == 0 or diverged or not self._saves(together):
            return
        if not self._whole:
            raise RuntimeError('the optimizer step was under way')
        self.saved = path = save_unfinished(self.runner)
        if path is not None:
            more = '' if self.stop_training else '; continue with --resume'
            self.runner.logger.info(f'saved {path}{more}')

    def _saves(self, together: bool) -> bool:
        """Whether this rank takes part in saving an unfinished run; by default the first one, alone."""
        return bool(get_rank() == 0)

    def _newest(self) -> str:
        note = Path(self.runner.work_dir) / 'last_checkpoint'
        with suppress(OSError):
            return f'; the newest checkpoint is {note.read_text().strip()}'
        return '; there is no checkpoint'
