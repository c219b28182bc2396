"""One run at a time in a work dir."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mmengine.dist import get_rank, is_distributed
from mmengine.logging import MMLogger

from infopro_seg.errors import OutputError
from infopro_seg.files import remove_partial_files

LOCK = '.lock'
RANKS = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_RANK'}  # by launcher

_held: set[Path] = set()  # folders held by this process; the kernel would let it lock them again


@contextlib.contextmanager
def only_run_in(work_dir: str | Path, launcher: str = 'none') -> Iterator[None]:
    """Keeps other runs out of a work dir, and removes half-written files of a killed run.

    The kernel releases the lock when the process ends, however it ends. With several ranks, the first one
    holds it. If the file system has no locks (some NFS), the run goes on without.

    Args:
        work_dir: the folder; it is created if needed.
        launcher: the launcher; the processes are not yet connected.

    Raises:
        OutputError: another process trains there, or the folder is not writable.
    """
    folder = Path(work_dir).absolute()
    rank = get_rank() if is_distributed() else int(os.environ.get(RANKS.get(launcher, ''), 0))
    if rank != 0 or folder in _held:
        yield
        return
    lock = _lock(folder)
    _held.add(folder)
    try:
        if lock is not None:
            remove_partial_files(folder)
        yield
    finally:
        _held.discard(folder)
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink(missing_ok=True)  # while it is locked
        if lock is not None:
            lock.close()


def _lock(folder: Path) -> IO[str] | None:
    """The locked file, which names its holder; None if the file system has no locks."""
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            file = path.open('a+')
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not flock: forked workers would inherit it
            except (BlockingIOError, PermissionError):
                raise _busy(folder, file) from None
            except OSError as error:
                file.close()
                MMLogger.get_current_instance().warning(
                    f'{folder} cannot be locked ({error.strerror}): make sure that only one run writes there'
                )
                return None
            if _is_at(file, path):
                break
            file.close()  # the run that held it has just removed it
        file.truncate(0)
        file.write(f'{socket.gethostname()} {os.getpid()}\n')
        file.flush()
    except OSError as error:
        raise OutputError(
            f'cannot write into the work dir {folder}: {error.strerror}; choose another --work-dir, '
            'make room, or get write permission'
        ) from error
    return file


def _busy(folder: Path, file: IO[str]) -> OutputError:
    """The error for a folder in which another process trains."""
    file.seek(0)
    host, _, pid = file.read().strip().partition(' ')
    file.close()
    holder = f'process {pid} on {host}' if pid else 'another process'
    return OutputError(
        f'{holder} trains in {folder} already; wait until it ends, stop it, or give another --work-dir'
    )


def _is_at(file: IO[str], path: Path) -> bool:
    """Whether an open file is the one that is at this path now."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
