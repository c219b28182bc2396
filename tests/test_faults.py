import errno
import os

import pytest
import torch

from infopro_seg.errors import DataError, MachineError, OutputError, RankError
from infopro_seg.faults import explained, headline


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
