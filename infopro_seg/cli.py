"""Runs a command: sets its exit status, and prints an error as one line instead of a traceback."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from infopro_seg.errors import MachineError, UserError
from infopro_seg.faults import explained, headline
from infopro_seg.files import escape_unknown

FAULT = 1  # exit status after any other error, as in Python
FAILED = 2  # exit status after an error that the user can fix
INTERRUPTED = 130  # exit status after Ctrl-C
TRACEBACK = '--traceback'
SPINS = 10_000
"""How often a thread of GNU's OpenMP looks for work before it sleeps, by far less than its own 300,000.

On two idle cores, the demo takes as long with either. Beside two other trainings, an iteration took 0.8 to
1.3 s instead of 1.7 to 4.4 s: a thread that spins keeps its core from the thread that it waits for.
"""


def run(main: Callable[[], int | None]) -> NoReturn:
    """Runs a tool's main function and exits; an error is printed as one line that names its cause.

    For an error of the user or the machine, nothing else is printed. Any other error is a fault of the
    program or of the user's own module, and its traceback follows. Every tool takes `--traceback`, which
    shows the traceback of any error.
    """
    _share_cores()
    escape_unknown(sys.stdout)
    always = TRACEBACK in sys.argv
    sys.argv[:] = [_with_home(argument) for argument in sys.argv if argument != TRACEBACK]
    status: int = FAULT
    try:
        _require_current_folder()
        _require_values(sys.argv)
        status = main() or 0
    except Exception as error:
        known = explained(error)
        if known is None and interrupted(error):
            status = _report('interrupted', error, INTERRUPTED, always)
        else:
            status = _report(
                f'error: {headline(error)}',
                error,
                FAULT if known is None else FAILED,
                always or known is None,
            )
    except KeyboardInterrupt as error:
        status = _report('interrupted', error, INTERRUPTED, always)
    sys.exit(status)


def _require_current_folder() -> None:
    """Checks that the current folder exists; without one, MKL ends the process while torch is imported."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        was = os.environ.get('PWD')
        raise MachineError(
            f'the current folder{f" {was}" * bool(was)} has been removed; change to another folder (cd)'
        ) from error


def _require_values(arguments: Sequence[str]) -> None:
    """Refuses empty arguments: `--resume "$CKPT"` without CKPT would train from scratch without a word."""
    for index, argument in enumerate(arguments[1:], 1):
        option, equals, value = argument.partition('=') if argument.startswith('--') else ('', '=', argument)
        if equals and not value.strip():
            name = option or f'the argument after {arguments[index - 1]}'
            raise UserError(f'{name} is empty; give it a value (is a variable of your shell not set?)')


def _with_home(argument: str) -> str:
    """Replaces the `~` of `--out=~/x` and `load_from=~/x`, which shells leave as it is."""
    found = re.fullmatch(r'([\w.-]+=)?(~(?:/.*)?)', argument, re.DOTALL)
    return argument if found is None else f'{found[1] or ""}{Path(found[2]).expanduser()}'


def _share_cores() -> None:
    """Sets how long idle threads spin, unless the user did; torch, imported later, loads OpenMP."""
    if 'OMP_WAIT_POLICY' not in os.environ:
        os.environ.setdefault('GOMP_SPINCOUNT', str(SPINS))


def _report(line: str, error: BaseException, status: int, with_traceback: bool) -> int:
    lines = [line, *getattr(error, '__notes__', ())]
    if with_traceback:
        lines += ['', ''.join(traceback.format_exception(error)).rstrip()]
    sys.stderr.write('\n'.join(lines) + '\n')
    return status


def interrupted(error: BaseException | None) -> bool:
    """Whether an error is Ctrl-C, or a library's error caused by it."""
    return error is not None and (
        isinstance(error, KeyboardInterrupt) or interrupted(error.__cause__) or interrupted(error.__context__)
    )


def __getattr__(name: str) -> Any:
    """`load_config`, which scripts for earlier versions import from here; loaded when it is asked for."""
    if name == 'load_config':
        from infopro_seg.config_files import load_config

        return load_config
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
