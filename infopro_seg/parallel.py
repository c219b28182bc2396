"""Work on many files in several processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TypeVar

import cv2

from infopro_seg.errors import UserError

Item = TypeVar('Item')
Result = TypeVar('Result')


def map_processes(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None = None,
    chunksize: int = 1,
) -> Iterator[Result]:
    """Yields `function(item)` for each item, in order.

    Processes are spawned, because forking would copy the locks of threads that torch or OpenCV have started.

    Args:
        function: a function that is importable by name; each process imports its module once.
        items: the items.
        workers: number of processes, one per core by default; with 1, this process does the work.
        chunksize: items per message between processes; use more than 1 if items take milliseconds.

    Raises:
        UserError: a process was killed.
    """
    workers = min(workers or os.cpu_count() or 1, len(items))
    if workers <= 1:
        with _one_thread():
            yield from map(function, items)
        return
    with ProcessPoolExecutor(workers, get_context('spawn'), initializer=start_worker) as pool:
        try:
            yield from pool.map(function, items, chunksize=chunksize)
        except BrokenProcessPool as error:
            raise UserError(
                f'one of {workers} worker processes was killed, probably for lack of memory; '
                'use fewer --workers'
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def start_worker() -> None:
    """Sets up a worker process: one thread, and interrupts are left to its parent."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
