"""Writes files atomically: even if the process is killed, readers find the old file or the new one."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

from infopro_seg.errors import OutputError

PARTIAL = '.partial'  # the last suffix of a file that is being written
LONGEST = 255  # bytes of a file's name, in most file systems
LONG = LONGEST - 30  # bytes that leave room for what the name has while the file is written


@contextlib.contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yields a path to write to; the complete file then replaces `path`.

    The file is written beside `path`, flushed to the disk and renamed. After an error it is removed, and the
    old file stays. Special files (`/dev/stdout`, a pipe) are written directly.

    Args:
        path: the file; its folder exists.

    Raises:
        OutputError: the file cannot be written: the disk is full, or the folder is missing or read-only.
    """
    special = is_special(path)
    # a link stays, its target is replaced; but /dev/stdout may lead to a pipe, which has no path of its own
    target = Path(path) if special else Path(os.path.realpath(path))
    partial = target if special else target.with_name(_partial_name(target.name))
    try:
        yield partial
        if not special:
            _flush(partial)
            partial.replace(target)
            with contextlib.suppress(OSError):  # some file systems cannot flush folders
                _flush(target.parent)
    except OSError as error:
        if error.filename is not None and Path(error.filename) not in (partial, target):
            raise  # an error of another file, which the caller reads
        raise OutputError(
            f'cannot write {path}: {error.strerror or error}; make room, or choose another place'
        ) from error
    finally:
        if not special:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)


def is_special(path: str | Path) -> bool:
    """Whether a path is there and is no file on a disk: a pipe, a terminal or a folder."""
    return Path(path).exists() and not Path(path).is_file()


def write_bytes(path: str | Path, content: bytes | memoryview) -> None:
    """Writes a file of these bytes, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    with whole_file(path) as partial:
        partial.write_bytes(content)


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file in UTF-8, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    write_bytes(path, text.encode())


def escape_unknown(stream: object) -> None:
    """Makes a text stream escape what its encoding lacks, as stderr does, instead of raising an error.

    Such are names of files in Latin-1, and names of classes where the locale of the shell is not UTF-8.
    """
    if isinstance(stream, io.TextIOWrapper) and not stream.closed and stream.errors == 'strict':
        stream.reconfigure(errors='backslashreplace')


def remove_partial_files(folder: str | Path) -> None:
    """Removes half-written files of killed processes from a folder that nobody else writes to."""
    for path in Path(folder).glob(f'.*{PARTIAL}'):
        path.unlink(missing_ok=True)


def _partial_name(name: str) -> str:
    """The name of a file while it is written; no longer than file systems take, where `name` is not."""
    encoded = os.fsencode(name)
    short = name if len(encoded) <= LONG else hashlib.sha256(encoded).hexdigest()
    return f'.{short}.{os.getpid()}{PARTIAL}'


def _flush(path: Path) -> None:
    """Makes sure that a file or the entries of a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
