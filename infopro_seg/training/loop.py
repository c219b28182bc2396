"""The training loop: mmengine's, made exactly resumable and safe to interrupt."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.dist import all_reduce, get_rank, is_distributed
from mmengine.registry import LOOPS
from mmengine.runner import IterBasedTrainLoop
from mmseg.registry import DATASETS

from infopro_seg.datasets.seeding import SeededDataset, seed_random
from infopro_seg.errors import UserError
from infopro_seg.hooks.ordered_checkpoints import save_unfinished
from infopro_seg.hooks.pending_gradients import PendingGradientsHook, average_gradients


class _StoppedError(Exception):
    """Ends the loop before a step."""


@LOOPS.register_module()
class ResumableIterBasedTrainLoop(IterBasedTrainLoop):
    """`IterBasedTrainLoop` that continues after a resume as if it had not been stopped.

    Every sample and every iteration has a random seed of its own, so that neither depends on what ran
    before; resuming does not load the data already seen. An interrupt (Ctrl-C, SIGTERM) ends the
    current iteration and saves a checkpoint, and so does a broken file in the data set.

    Args:
        runner: the runner.
        dataloader: config of the training data loader, with an infinite sampler.
        max_iters: when the training ends.
        kwargs: the other arguments of `IterBasedTrainLoop`.
    """

    def __init__(self, runner: Any, dataloader: dict[str, Any], max_iters: int, **kwargs: Any) -> None:
        dataloader = {
            **dataloader,
            'dataset': SeededDataset(DATASETS.build(dataloader['dataset'])),
            'sampler': {'type': 'SeededSampler', 'sampler': dataloader['sampler']},
        }
        super().__init__(runner, dataloader, max_iters, **kwargs)
        self._interrupted = False
        runner.register_hook(PendingGradientsHook())

    def run(self) -> Any:
        """Trains up to `max_iters`, or until interrupted."""
        self.dataloader.sampler.reseed(self.runner.seed)
        try:
            with self._interruptible():
                model = super().run()
        except _StoppedError:
            model = self.runner.model
        except UserError:
            self._any_rank(True)  # the other ranks wait here before their step
            self._save()
            raise
        if self._iter < self._max_iters:
            self._save()
        return model

    def run_iter(self, data_batch: Any) -> None:
        """One iteration, under its own seed (dropout draws from it)."""
        if self._any_rank(self._interrupted):
            raise _StoppedError
        seed_random((self.runner.seed, get_rank(), self._iter))
        super().run_iter(data_batch)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Lets a signal end the loop after the current iteration, on all ranks at the same one."""
        main_process = os.getpid()

        def stop(number: int, frame: Any) -> None:
            if os.getpid() != main_process:  # a data-loading worker, which inherits the handler
                if number == signal.SIGTERM:
                    os._exit(128 + number)
                return
            self.runner.logger.warning('stopping after this iteration, or the validation that runs')
            self._interrupted = True
            if not is_distributed():  # a launcher repeats the signals that its processes got already
                signal.signal(number, signal.default_int_handler)

        previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _any_rank(self, stop: bool) -> bool:
        """Whether any rank wants to stop; all ask before each step, so that none waits for gradients."""
        if not is_distributed():
            return stop
        flag = torch.tensor(int(stop))
        all_reduce(flag, op='max')
        return bool(flag.item())

    def _save(self) -> None:
        """Saves what an unfinished run has reached, where `--resume` finds it."""
        average_gradients(self.runner)
        path = save_unfinished(self.runner)
        if path is not None:
            self.runner.logger.info(f'saved {path}; continue with --resume')
