"""Batches that a data-loading worker cannot send."""

import pytest
import torch
from torch.utils.data import DataLoader

import infopro_seg.register  # noqa: F401  makes them errors
from infopro_seg.errors import MachineError
from infopro_seg.faults import explained

FULL = 'unable to allocate shared memory(shm) for file </torch_9_13_2>: No space left on device (28)'


class Sendable:
    """A value; pickling it fails if it has a message."""

    def __init__(self, message):
        self.message = message

    def __reduce__(self):
        if self.message:
            raise RuntimeError(self.message)
        return Sendable, ('',)


def batches(*messages):
    """The batches of a loader with a worker; torch gives up after some seconds of waiting."""
    values = [Sendable(message) for message in messages]
    return iter(DataLoader(values, collate_fn=list, num_workers=1, timeout=20))


def test_a_batch_that_does_not_fit_the_shared_memory_is_an_error():
    found = batches('', FULL, '')
    next(found)
    with pytest.raises(RuntimeError, match='Caught RuntimeError in DataLoader worker process 0') as caught:
        next(found)
    assert isinstance(explained(caught.value), MachineError)
    next(found)  # the worker goes on


def test_a_value_that_cannot_be_pickled_is_an_error_with_its_traceback():
    with pytest.raises(RuntimeError, match='no way to pickle this') as caught:
        next(batches('no way to pickle this'))
    assert explained(caught.value) is None
    assert 'in __reduce__' in str(caught.value)


def test_other_queues_drop_what_they_cannot_send_as_before(capfd):
    queue = torch.multiprocessing.get_context('fork').Queue()
    queue.put(Sendable('not for torch'))
    queue.put('more')
    assert queue.get(timeout=20) == 'more'
    assert 'RuntimeError: not for torch' in capfd.readouterr().err
