import errno
import multiprocessing
import multiprocessing.synchronize
import os
import runpy

import pytest
import torch

from infopro_seg.errors import DataError, MachineError, OutputError, RankError
from infopro_seg.faults import cause_of, explained, headline


def os_error(number, *names):
    return OSError(number, os.strerror(number), *names)


@pytest.mark.parametrize(
    ('error', 'kind', 'words'),
    [
        (DataError('a.png is broken'), DataError, ['a.png is broken']),
        (
            RuntimeError('DataLoader worker (pid 12) is killed by signal: Killed. '),
            MachineError,
            ['worker was killed (Killed)', 'num_workers'],
        ),
        (
            RuntimeError(
                'DataLoader worker (pid 12) is killed by signal: Bus error. It is possible that '
                "dataloader's workers are out of shared memory."
            ),
            MachineError,
            ['Bus error', '/dev/shm'],
        ),
        (
            RuntimeError('DataLoader worker (pid(s) 12, 13) exited unexpectedly'),
            MachineError,
            ['worker was killed (it exited unexpectedly)'],
        ),
        (torch.OutOfMemoryError('CUDA out of memory. Tried 2 GiB.'), MachineError, ['GPU', 'crops', '--amp']),
        (RuntimeError('CUDA error: out of memory\nmore'), MachineError, ['memory of the GPU']),
        (MemoryError(), MachineError, ['the memory of the machine is used up. Use fewer workers']),
        (
            RuntimeError('[enforce fail at alloc.cpp] DefaultCPUAllocator: not enough memory: you tried'),
            MachineError,
            ['memory of the machine'],
        ),
        (
            RuntimeError(
                'Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback (most recent call '
                'last):\nRuntimeError: unable to allocate shared memory(shm) for file </torch_9_13_2>: No '
                'space left on device (28)'
            ),
            MachineError,
            ['/dev/shm is full', '--shm-size', 'num_workers'],
        ),
        (
            RuntimeError('unable to write to file </torch_9_13_2>: No space left on device (28)'),
            MachineError,
            ['/dev/shm is full'],
        ),
        (RuntimeError('received 0 items of ancdata'), OutputError, ['Too many open files', 'ulimit -n']),
        (
            RuntimeError('Too many open files. Communication with the workers is no longer possible.'),
            OutputError,
            ['Too many open files', 'num_workers'],
        ),
        (os_error(errno.ENOSPC, 'a.pth'), OutputError, ['cannot write a.pth: No space left', 'make room']),
        (os_error(errno.EROFS, 'out'), OutputError, ['cannot write out: Read-only', 'another folder']),
        (os_error(errno.EACCES, 'out'), OutputError, ['read or write out: Permission denied']),
        (os_error(errno.EMFILE), OutputError, ['Too many open files', 'ulimit -n']),
        (
            RuntimeError('[pair.cc:553] gloo/transport: Connection closed by peer [127.0.0.1]:1'),
            RankError,
            ['another process of this run has ended'],
        ),
    ],
)
def test_faults_of_the_machine_are_told_with_their_remedy(error, kind, words):
    found = explained(error)
    assert type(found) is kind
    for word in words:
        assert word in str(found)
    assert '\n' not in headline(error)


def test_files_that_are_missing_are_told_without_the_user_s_own_code(tmp_path):
    """A library that cannot open a file says which; one that the user's code opens is that code's fault."""
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / 'none').read_text()
    assert explained(caught.value) is None
    assert headline(caught.value).startswith('FileNotFoundError: [Errno 2] No such file or directory')
    assert f'({__file__}, line ' in headline(caught.value)
    assert 'No such file' in str(explained(caught.value.with_traceback(None)))


@pytest.mark.parametrize('error', [ValueError('two\nlines'), KeyError('a'), RuntimeError()])
def test_other_faults_are_named_in_one_line(error):
    assert explained(error) is None
    assert (
        headline(error)
        == {
            ValueError: 'ValueError: two',
            KeyError: "KeyError: 'a'",
            RuntimeError: 'RuntimeError',
        }[type(error)]
    )


def test_no_room_for_the_semaphores_of_workers_is_told_apart_from_a_full_disk(monkeypatch):
    def full(*args):
        raise os_error(errno.ENOSPC)

    monkeypatch.setattr('multiprocessing.synchronize._multiprocessing.SemLock', full)
    with pytest.raises(OSError, match='No space left') as caught:
        multiprocessing.get_context('fork').Lock()
    caught.value.filename = 'work_dirs/a'  # as the training loop names what it was writing to
    assert '/dev/shm is full' in str(explained(caught.value))


def test_a_bare_assertion_is_told_by_its_code_and_values(tmp_path):
    file = tmp_path / 'library.py'
    file.write_text(
        "def check(way, size):\n    assert size[0] > 0 and (\n        way in ('left', 'right')\n    )\n"
    )
    library = runpy.run_path(str(file))
    with pytest.raises(AssertionError) as caught:
        library['check']('up', (4, 5))
    assert cause_of(caught.value) == (
        "AssertionError: expected size[0] > 0 and way in ('left', 'right'), got size=(4, 5), way='up'"
    )
    with pytest.raises(AssertionError) as caught:
        library['check']('up', [0] * 10**5)
    assert len(cause_of(caught.value)) < 200  # and not all of the values

    class Unshown(list):
        def __repr__(self):
            raise ZeroDivisionError

    with pytest.raises(AssertionError) as caught:
        library['check'](Unshown(), (4, 5))
    assert cause_of(caught.value).startswith('AssertionError')
    assert cause_of(AssertionError()) == 'AssertionError'
    assert cause_of(AssertionError('in words')) == 'AssertionError: in words'
