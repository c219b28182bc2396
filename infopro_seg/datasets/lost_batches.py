"""Makes a batch that a data-loading worker cannot send an error of the data loader.

Workers send batches through a queue of Python's. Where that fails, as with a full /dev/shm or a value that
cannot be pickled, the queue prints a traceback and drops the batch, for which the program would wait forever.
"""

from __future__ import annotations

from multiprocessing.queues import Queue
from typing import Any

from torch._utils import ExceptionWrapper
from torch.utils.data import get_worker_info

_QUEUE: Any = Queue
_WRAPPER: Any = ExceptionWrapper
_print_and_drop = _QUEUE._on_queue_feeder_error


def _send_error(queue: Any, error: Exception, sent: Any) -> None:
    """Sends the error in place of the batch, as torch's workers do where they cannot load one."""
    worker = get_worker_info()
    if worker is None or not isinstance(sent, tuple) or len(sent) != 2:
        _print_and_drop(error, sent)
        return
    what = (type(error), error, error.__traceback__)
    queue.put((sent[0], _WRAPPER(what, where=f'in DataLoader worker process {worker.id}')))


def report_lost_batches() -> None:
    """From now on, data loaders raise the error of a worker that cannot send a batch."""
    _QUEUE._on_queue_feeder_error = _send_error
