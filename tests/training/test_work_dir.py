"""One run at a time in a work dir, whatever became of the one before."""

import errno
import fcntl
import os
import signal
import socket

import pytest

from infopro_seg.errors import OutputError
from infopro_seg.training.work_dir import LOCK, only_run_in


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def in_a_child(action):
    """Enters a context in a forked process, which then waits for its death; returns the process id."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with action():
            os.write(writer, b'x')
            signal.pause()
        os._exit(0)
    os.close(writer)
    assert os.read(reader, 1) == b'x'
    os.close(reader)
    return child


@pytest.fixture
def holder(tmp_path):
    child = in_a_child(lambda: only_run_in(tmp_path))
    yield child
    try:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def test_the_second_run_is_refused_with_the_process_that_holds_the_folder(tmp_path, holder):
    words = f'process {holder} on {socket.gethostname()} trains in {tmp_path} already'
    for _ in range(2):  # asking changes nothing
        with pytest.raises(OutputError, match=words), only_run_in(tmp_path):
            pass


def test_a_lock_of_a_dead_process_is_no_obstacle(tmp_path, holder):
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    assert (tmp_path / LOCK).is_file()
    (tmp_path / '.iter_4.pth.123.partial').touch()
    with only_run_in(tmp_path):
        assert (tmp_path / LOCK).read_text().split() == [socket.gethostname(), str(os.getpid())]
        assert names(tmp_path) == [LOCK]  # what the dead one left half-written is gone
    assert names(tmp_path) == []


def test_a_forked_worker_that_outlives_its_run_holds_nothing(tmp_path):
    with only_run_in(tmp_path):
        worker = os.fork()
        if worker == 0:
            signal.pause()
    child = in_a_child(lambda: only_run_in(tmp_path))
    for process in (worker, child):
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def test_a_run_may_enter_its_own_folder_again(tmp_path):
    with only_run_in(tmp_path), only_run_in(tmp_path):
        pass
    assert names(tmp_path) == []


def test_other_ranks_rely_on_the_first(tmp_path, holder, monkeypatch):
    monkeypatch.setenv('RANK', '1')
    with only_run_in(tmp_path, 'pytorch'):
        pass
    assert (tmp_path / LOCK).is_file()
    monkeypatch.setenv('RANK', '0')
    with pytest.raises(OutputError, match='already'), only_run_in(tmp_path, 'pytorch'):
        pass


def test_without_locks_the_run_goes_on(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'lockf', refuse)
    (tmp_path / '.other.partial').touch()
    with only_run_in(tmp_path):
        assert (tmp_path / '.other.partial').is_file()  # perhaps of another run that goes on


def test_a_folder_that_cannot_be_made_is_named():
    with pytest.raises(OutputError, match='cannot write into the work dir /proc/no'), only_run_in('/proc/no'):
        pass
