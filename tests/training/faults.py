"""Hooks, models and transforms that fail, and calls of a training that is to fail."""

import errno
import os
import signal
from pathlib import Path

import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmseg.registry import TRANSFORMS

from infopro_seg.cli import run
from tests.runs import STOPPED, hooks

FAULTS = {
    'memory': lambda: torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.\nmore'),
    'bug': lambda: KeyError('no such feature'),
    'ctrl-c': KeyboardInterrupt,
}


@HOOKS.register_module()
class FailInside(Hook):
    """Raises in the middle of an iteration: in the forward pass of a module, or in the optimizer's step."""

    def __init__(self, iteration, fault, where='decode_head'):
        self.iteration, self.fault, self.where = iteration, fault, where

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 != self.iteration:
            return
        if self.where == 'step':
            optimizer = runner.optim_wrapper.optimizer
            optimizer.register_step_post_hook(self.fail)
        else:
            runner.model.get_submodule(self.where).register_forward_pre_hook(self.fail)

    def fail(self, *_):
        raise FAULTS[self.fault]()


@HOOKS.register_module()
class FailAfter(Hook):
    """Raises after an iteration, before the learning rate of the next is set."""

    def __init__(self, iteration):
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration:
            raise ZeroDivisionError('in a hook')


@HOOKS.register_module()
class SignalInValidation(Hook):
    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if batch_idx == 1:
            os.kill(os.getpid(), signal.SIGINT)


@HOOKS.register_module()
class SaveInValidation(Hook):
    def before_val_iter(self, runner, batch_idx, data_batch=None):
        runner.save_checkpoint(runner.work_dir, 'inside.pth', by_epoch=False)


@HOOKS.register_module()
class KillWorkers(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == STOPPED:
            for worker in runner.train_loop.dataloader_iterator._iterator._workers:
                os.kill(worker.pid, signal.SIGKILL)


@TRANSFORMS.register_module()
class FailOnRead(BaseTransform):
    """Raises for the images that are read from a position of the run on."""

    def __init__(self, file, after):
        self.file, self.after = Path(file), after

    def transform(self, results):
        with self.file.open('a') as file:
            file.write('.')
        if len(self.file.read_text()) > self.after:
            raise IndexError('list index out of range')
        return results


def kill_workers(runner, number=signal.SIGKILL):
    """Ends the workers of the training's loader, and waits until they are dead."""
    for worker in runner.train_loop.dataloader_iterator._iterator._workers:
        os.kill(worker.pid, number)
        os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT)


@HOOKS.register_module()
class StopGroup(Hook):
    """Ends the run as a scheduler does, by a signal to all its processes."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            kill_workers(runner, signal.SIGTERM)


@HOOKS.register_module()
class LoseConnection(Hook):
    """Ends an iteration as a worker does that dies; the system's signal comes later, in the saving."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == 2:
            raise ConnectionResetError(errno.ECONNRESET, 'Connection reset by peer')

    def before_save_checkpoint(self, runner, checkpoint):
        kill_workers(runner)


@HOOKS.register_module()
class LoseConnectionFirst(Hook):
    """The same where the signal is held back until all is saved."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == 2:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
            kill_workers(runner)
            raise ConnectionResetError(errno.ECONNRESET, 'Connection reset by peer')


def fails(main, capsys):
    """The exit status of a command and the lines of its message."""
    with pytest.raises(SystemExit) as exited:
        run(main)
    return exited.value.code, capsys.readouterr().err.splitlines()


def fail_at(iteration, fault, **kwargs):
    return hooks({'type': 'FailInside', 'iteration': iteration, 'fault': fault, **kwargs})
