"""The training loop of a process that trains one local module."""

from __future__ import annotations

from typing import Any

from mmengine.registry import LOOPS

from infopro_seg.errors import RankError
from infopro_seg.faults import headline
from infopro_seg.hooks.due_validation import validation_is_due
from infopro_seg.training.interruptions.interrupts import Stopped
from infopro_seg.training.loop import ResumableIterBasedTrainLoop
from infopro_seg.training.module_parallel.local_module import HandedBatch
from infopro_seg.training.module_parallel.stream import CutShortError
from infopro_seg.training.module_parallel.wrapper import ModuleParallel


@LOOPS.register_module()
class ModuleParallelTrainLoop(ResumableIterBasedTrainLoop):
    """`ResumableIterBasedTrainLoop` of a process that trains one local module.

    Processes may run ahead of each other while messages wait, so they do not meet at each iteration. The
    process of the first module decides when training ends, and says so in place of a batch. Then all
    processes end after the same iteration and can save together.

    Args:
        runner: the runner, whose model is a :class:`ModuleParallel`.
        dataloader: config of the training data loader; only the process of the first module loads images.
        max_iters: number of iterations.
        kwargs: the other arguments of `ResumableIterBasedTrainLoop`.
    """

    def __init__(self, runner: Any, dataloader: dict[str, Any], max_iters: int, **kwargs: Any) -> None:
        super().__init__(runner, dataloader, max_iters, **{**kwargs, 'seed_per_module': True})
        model: ModuleParallel = runner.model
        self.placement, self.link, self.stream = model.placement, model.link, model.stream
        self.link.ranks = self._ranks
        self._evaluates = False  # whether the run ended in a validation
        self._guard.at_images = False  # if one process left alone, the others would wait
        self.data_rank = self.placement.replica
        batches = self.dataloader.batch_sampler
        sampler = getattr(batches, 'sampler', self.dataloader.sampler)
        sampler.share(self.placement.replica, self.placement.replicas)
        loop: Any = self
        loop.dataloader_iterator = Batches(self, loop.dataloader_iterator)

    def end_here(self) -> None:
        """Ends the loop before the next iteration, here and in the later modules.

        Raises:
            Stopped: the user asked for it.
            RankError: another process has reported a fault.
        """
        if not self.placement.is_last:
            self.link.send_on(None)
        self._agreed = True
        raise self._ranks.fault() or Stopped

    def _agree_on_iteration(self) -> None:
        if self.placement.is_first and self.link.any_first(self._interrupts.asked or self._ranks.ends()):
            self.end_here()
        if self._interrupts.asked and not self._ranks.ends():
            self._ranks.tell()

    def before_evaluated_batch(self) -> None:
        """Ends a validation on request: in the first module's process, and so in the later ones.

        Raises:
            Stopped: the user asked for it.
            RankError: another process has reported a fault.
        """
        if not self._guard.together:
            return  # a test after the training, which a signal ends at once
        ends = self._ranks.ends()
        if self._interrupts.asked and not ends:
            self._ranks.tell()
        if self.placement.is_first and (self._interrupts.asked or ends):
            self._agree()

    def _agree(self, ends: bool | None = None) -> None:
        self.stream.close()  # so that no other still waits for this process there
        super()._agree(ends)

    def _end(self, error: BaseException, killed: BaseException | None = None) -> BaseException | None:
        self._evaluates = self._guard.validating or self.stream.is_open
        if isinstance(error, CutShortError) and self._guard.together:
            try:
                self._agree()  # with whoever has cut it short
            except BaseException as agreed:
                error = agreed
        return super()._end(error, killed)

    def _part(self, cause: BaseException) -> bool:
        if self._agreed:
            return super()._part(cause)
        ours = not isinstance(cause, (RankError, KeyboardInterrupt))
        self._ranks.tell(headline(cause) if ours else None)
        if ours and self._evaluates and self._guard.together:  # the others come to the same end
            if not self.stream.is_open:  # a hook has failed before the first image
                self.stream.open()
            self.stream.close()
            return super()._part(cause)
        if not self.placement.is_first or not self._guard.together or isinstance(cause, RankError):
            return False
        over = self._iter >= self._max_iters or self.stop_training
        if over or validation_is_due(self.runner):
            return False  # no batch comes next, so nobody would take an end in its place
        try:  # between two iterations: all others come to the same one
            self.link.any_first(True)
            self.link.send_on(None)
        except RankError:
            return False
        return True

    def _save(self, together: bool = True, diverged: bool = False) -> None:
        try:
            super()._save(together, diverged)
            self.link.finish()  # what is under way is lost when this process ends
        except RankError as error:
            if self.interrupted:  # so that the error goes on by itself
                error.add_note(f'the {self._iter} iterations so far are not saved{self._newest()}')
            raise

    def _saves(self, together: bool) -> bool:
        if not together:
            raise RankError('each process holds one local module only, and others have ended already')
        return True


class Batches:
    """The batches of a process: loaded, or received from the process of the previous module.

    Args:
        loop: the loop of this process.
        loaded: the batches from the data loader.
    """

    def __init__(self, loop: ModuleParallelTrainLoop, loaded: Any) -> None:
        self._loop, self._loaded = loop, loaded

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loaded, name)

    def __next__(self) -> HandedBatch:
        if self._loop.placement.is_first:
            return HandedBatch.loaded(next(self._loaded))
        handed = self._loop.link.receive()
        if handed is None:
            self._loop.end_here()
        return HandedBatch.of(handed)

    def skip_iter(self, count: int) -> None:
        """Skips batches that were seen before a resume."""
        if self._loop.placement.is_first:
            self._loaded.skip_iter(count)
