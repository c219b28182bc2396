"""Explains exceptions to users: the cause in one line, and where it comes from."""

from __future__ import annotations

import ast
import errno
import linecache
import os
import re
import reprlib
import sys
import sysconfig
import traceback
from contextlib import suppress
from pathlib import Path

from infopro_seg.errors import DataError, MachineError, OutputError, RankError, UserError

# errors of the operating system that no program can avoid; other file errors may be faults of the program
MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE}
MACHINE |= {errno.ENFILE, errno.ESTALE, errno.ENAMETOOLONG, errno.EFBIG}
_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
_REMEDIES = {
    errno.ENOSPC: 'make room on that disk',
    errno.EDQUOT: 'make room within your quota',
    errno.EROFS: 'that disk is read-only; choose another folder',
    errno.EACCES: 'choose a folder that you may write to, or files that you may read',
    errno.EPERM: 'choose a folder that you may write to, or files that you may read',
    errno.EMFILE: 'raise the limit of open files (ulimit -n), or use fewer workers (num_workers)',
}
_KILLED = re.compile(
    r'DataLoader worker \(pid(?:\(s\))? [\d, ]+\) (?:is killed by signal: (.+?)\.|exited unexpectedly)'
)
_GPU_MEMORY = re.compile(r'CUDA out of memory|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED')
_CPU_MEMORY = re.compile(r"DefaultCPUAllocator: (not enough|can't allocate) memory|Cannot allocate memory")
_SHARED_MEMORY = re.compile(r'Bus error|shared memory|/dev/shm')
_SHARED_FILE = re.compile(r'unable to [^<\n]*</torch_\w+>[^\n]*: No space left on device')
_OPEN_FILES = re.compile(r'received \d+ items of ancdata|Too many open files')
_TARGET = re.compile(r'Target (-?\d+) is out of bounds')  # torch's cross-entropy
_RANK = re.compile(r'gloo/transport|Connection (closed|reset) by peer|NCCL|Timed out waiting')
_PLAIN = (bool, int, float, str, list, tuple)  # values that are worth showing
_PACKAGE = Path(__file__).resolve().parent
_OURS = tuple(f'{folder}/' for folder in (_PACKAGE, _PACKAGE.parent / 'tools'))
_PYTHON = tuple({str(Path(sysconfig.get_path(name)).resolve()) for name in ('stdlib', 'platstdlib')})
_INSTALLED = {'site-packages', 'dist-packages'}


def explained(error: BaseException) -> UserError | None:
    """The error that explains a fault of the machine in the user's terms; None for any other fault.

    Args:
        error: any exception.
    """
    if isinstance(error, UserError):
        return error
    text = str(error)
    killed = _KILLED.search(text) or _KILLED.search(str(error.__cause__))
    if killed:
        return MachineError(
            f'a data-loading worker was killed ({killed[1] or "it exited unexpectedly"}), most likely by the '
            'system because memory ran out: use fewer workers (num_workers) or smaller images, or give the '
            'machine more memory' + (' in /dev/shm' if _SHARED_MEMORY.search(text) else '')
        )
    if _GPU_MEMORY.search(text):
        return MachineError(
            f'the memory of the GPU is used up: {_first_line(text)}. Use smaller crops or batches, more '
            'local modules (num_modules), mixed precision (--amp) or a checkpointing policy; tools/plan.py '
            'compares them'
        )
    if isinstance(error, MemoryError) or _CPU_MEMORY.search(text):
        return MachineError(
            f'the memory of the machine is used up{": " * bool(text)}{_first_line(text)}. Use fewer workers '
            '(num_workers), smaller batches or smaller images'
        )
    if _SHARED_FILE.search(text) or _lacks_semaphores(error):
        return MachineError(
            'the shared memory /dev/shm is full, in which data-loading workers hand over their batches: give '
            'it more room (docker run --shm-size=8g), use fewer workers (num_workers) or smaller batches, or '
            'load without workers (num_workers=0)'
        )
    if isinstance(error, OSError):
        return _explained_file(error)
    if isinstance(error, RuntimeError) and _OPEN_FILES.search(text):
        return _explained_file(OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
    target = _TARGET.search(text) if isinstance(error, IndexError) else None
    if target:
        return DataError(
            f'a loss got the label {target[1]}, which is neither a class of its head nor its ignore_index; '
            'convert the labels, or correct num_classes and ignore_index of the heads'
        )
    if isinstance(error, RuntimeError) and _RANK.search(text):
        return RankError(
            f'another process of this run has ended: {_first_line(text)}. Its own message says why'
        )
    return None


def headline(error: BaseException) -> str:
    """An error's cause in one line, with the place in the user's own code if it comes from there."""
    known = explained(error)
    if known is not None:
        return message_of(known)
    name = type(error).__name__
    text = message_of(error).strip()
    place = _place(error)
    return f'{name}{": " * bool(text)}{_first_line(text)}{place}'


def message_of(error: BaseException) -> str:
    """An error's own message, also if a data-loading worker has wrapped it in a traceback."""
    text = str(error)
    if 'Original Traceback' in text:
        text = text.rsplit(f'{type(error).__name__}: ', 1)[-1]
    return text.strip()


def cause_of(error: BaseException) -> str:
    """An error's type and text on one line; for a KeyError, its key, for a bare `assert`, its code."""
    text = ' '.join(str(error).split())
    if isinstance(error, KeyError) and len(error.args) == 1:
        key = str(error.args[0])
        text = ' '.join(key.split()) if ' ' in key else f'the key {key!r} is missing or unknown'
    if isinstance(error, AssertionError) and not text:
        text = _asserted(error)
    return f'{type(error).__name__}: {text}' if text else type(error).__name__


def _asserted(error: BaseException) -> str:
    """What a bare `assert` asks for, as its code says it, with the values that it compares."""
    frames = [*traceback.walk_tb(error.__traceback__)]
    if not frames:
        return ''
    frame, line = frames[-1]
    short = reprlib.Repr()
    short.maxstring = short.maxother = 100
    with suppress(Exception):  # of code without its source, and of a value that cannot be shown
        for node in ast.walk(ast.parse(''.join(linecache.getlines(frame.f_code.co_filename)))):
            if isinstance(node, ast.Assert) and node.lineno <= line <= (node.end_lineno or 0):
                found = [one for one in ast.walk(node.test) if isinstance(one, ast.Name)]
                found.sort(key=lambda one: (one.lineno, one.col_offset))
                names = dict.fromkeys(one.id for one in found)
                held = {name: frame.f_locals[name] for name in names if name in frame.f_locals}
                shown = [
                    f'{name}={short.repr(value)}' for name, value in held.items() if isinstance(value, _PLAIN)
                ]
                asked = f'expected {ast.unparse(node.test)}' + (f', got {", ".join(shown)}' if shown else '')
                return ' '.join(asked.split())
    return ''


def own_place(error: BaseException, outside: int = 0) -> str | None:
    """Where in the user's own code an error was raised, as `file:line`, see :func:`own_frame`; or None."""
    found = own_frame(error, outside)
    return f'{found.filename}:{found.lineno}' if found is not None else None


def _lacks_semaphores(error: BaseException) -> bool:
    """Whether there was no room for the semaphores of workers, which lie in /dev/shm too."""
    if not isinstance(error, OSError) or error.errno != errno.ENOSPC:
        return False
    frames = traceback.extract_tb(error.__traceback__)
    return any(frame.name == '__init__' and 'SemLock(' in (frame.line or '') for frame in frames)


def _explained_file(error: OSError) -> OutputError | None:
    if error.errno not in MACHINE and (error.filename is None or own_frame(error) is not None):
        return None
    verb = 'write' if error.errno in _WRITING else 'read or write'
    name = error.filename if error.filename2 is None else error.filename2
    remedy = _REMEDIES.get(error.errno or 0)
    return OutputError(f'cannot {verb} {name or "a file"}: {error.strerror}{f"; {remedy}" if remedy else ""}')


def own_frame(error: BaseException, outside: int = 0) -> traceback.FrameSummary | None:
    """The innermost call in the user's own code: neither of this package nor installed.

    Args:
        error: the raised error.
        outside: number of outermost calls to ignore.
    """
    frames = traceback.extract_tb(error.__traceback__)[outside:]
    return next((frame for frame in reversed(frames) if _is_own(frame.filename)), None)


def _place(error: BaseException) -> str:
    if 'Original Traceback' in str(error):  # a worker has sent its traceback as text
        frames = re.findall(r'File "(.+?)", line (\d+), in (\S+)', str(error))
        frame = next((f for f in reversed(frames) if _is_own(f[0])), None)
        return f' ({frame[0]}, line {frame[1]}, in {frame[2]})' if frame else ''
    found = own_frame(error)
    return f' ({found.filename}, line {found.lineno}, in {found.name})' if found else ''


def _is_own(file: str) -> bool:
    path = Path(file)
    if not path.is_absolute():  # of a compiled or frozen module
        return False
    path = path.resolve()
    command = Path(sys.argv[0]).resolve() if sys.argv and sys.argv[0] else None
    return (
        path != command and not str(path).startswith((*_OURS, *_PYTHON)) and _INSTALLED.isdisjoint(path.parts)
    )


def _first_line(text: str) -> str:
    return text.strip().split('\n', 1)[0].rstrip('.')
