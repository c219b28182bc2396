"""Signals: requests to stop (Ctrl-C, schedulers), and SIGCHLD, the death of a data-loading worker."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from mmengine.dist import is_distributed
from mmengine.logging import MMLogger

# schedulers send SIGTERM, or SIGUSR1 or SIGUSR2 some time before it: sbatch --signal=USR1@120
REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
USERS = (signal.SIGUSR1, signal.SIGUSR2)


class Stopped(KeyboardInterrupt):
    """Ends a training on request."""


class Interrupts:
    """Receives the signals in `REQUESTS` while a training runs; does nothing outside the main thread.

    SIGHUP says that the terminal is closed; under nohup it is ignored, and stays so. If your own code handles
    SIGUSR1 or SIGUSR2, its handler stays.

    The first signal sets `asked`; while `at_once` is set, it also raises `Stopped`. In a single process the
    second signal ends the training at once. With several processes it changes nothing, because each process
    receives every signal twice: from the terminal and from the launcher.
    """

    def __init__(self) -> None:
        self.asked = False
        self.at_once = False
        self._previous: dict[int, Any] = {}
        self._process = os.getpid()

    def __enter__(self) -> Self:
        self._process = os.getpid()
        if threading.current_thread() is threading.main_thread():
            for number in REQUESTS:
                if self._is_ours(number):
                    self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._previous:
            signal.signal(*self._previous.popitem())

    @staticmethod
    def _is_ours(number: int) -> bool:
        handler = signal.getsignal(number)
        if number in USERS:
            return handler is signal.SIG_DFL and not _caught(number)
        return number == signal.SIGINT or handler is not signal.SIG_IGN

    def _receive(self, number: int, frame: Any) -> None:
        if os.getpid() != self._process:  # a data-loading worker, which inherits the handler
            if number != signal.SIGINT:
                os._exit(128 + number)
            return
        self.asked = True
        if not is_distributed():
            signal.signal(number, signal.default_int_handler)
        if self.at_once:
            self.at_once = False
            raise Stopped
        MMLogger.get_current_instance().warning('stopping after this iteration')


def _caught(number: int) -> bool:
    """Whether the process handles a signal, also by a handler in C that Python does not know of.

    `faulthandler.register` sets such a one.
    """
    try:
        lines = Path('/proc/self/status').read_text().splitlines()
    except OSError:  # not Linux
        return False
    masks = [int(line.split()[1], 16) for line in lines if line.startswith('SigCgt:')]
    return any(mask >> (number - 1) & 1 for mask in masks)


DYING = 2.0  # seconds to wait for a worker whose connections are already closed


def killed_worker(error: BaseException, loader: Any) -> RuntimeError | None:
    """If an error was caused by a killed data-loading worker: torch's error for that.

    A dying worker closes its connections first, so an error about these may come before torch's own.

    Args:
        error: the error that ended the training.
        loader: iterates over the batches.
    """
    try:
        return _told(error) or _found(error, loader)
    except RuntimeError as raised:  # perhaps by torch's handler of SIGCHLD, while the worker is looked for
        told = _told(raised)
        if told is None:
            raise
        return told


def _told(error: BaseException) -> RuntimeError | None:
    """The error itself, if it is torch's for a killed worker."""
    if isinstance(error, RuntimeError) and str(error).startswith('DataLoader worker'):
        return error
    return None


def _found(error: BaseException, loader: Any) -> RuntimeError | None:
    if isinstance(error, (ConnectionError, EOFError)):
        workers = getattr(getattr(loader, '_iterator', None), '_workers', ())
        killed = _killed(workers)
        if killed is not None:
            return killed
    return _dead_worker()


def _killed(workers: Sequence[Any]) -> RuntimeError | None:
    """The error for a worker that a signal has killed, or is killing."""
    closed = wait([worker.sentinel for worker in workers], DYING) if workers else ()
    for worker in workers:
        if worker.sentinel in closed:
            worker.join()  # its connections are closed a moment before it is gone
            if worker.exitcode < 0:
                name = signal.strsignal(-worker.exitcode)
                return RuntimeError(f'DataLoader worker (pid {worker.pid}) is killed by signal: {name}. ')
    return None


def _dead_worker() -> RuntimeError | None:
    try:
        torch._C._error_if_any_worker_fails()  # which it says once for each loader
    except RuntimeError as killed:
        return killed
    return None


@contextmanager
def workers_may_die() -> Iterator[None]:
    """Within the context, keeps torch from raising an error for a dead data-loading worker."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        _dead_worker()  # or the end of any other process would be taken for news of it
        signal.signal(signal.SIGCHLD, previous)
