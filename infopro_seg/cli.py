"""How a command ends: its exit status, and an error as one line in place of a traceback."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from infopro_seg.faults import explained, headline

FAULT = 1  # exit status after any other error, as Python's own
FAILED = 2  # exit status after an error that the user can mend
INTERRUPTED = 130  # exit status after Ctrl-C
TRACEBACK = '--traceback'


def run(main: Callable[[], int | None]) -> NoReturn:
    """Runs a tool's main function and exits; an error is printed as one line that names its cause.

    Nothing else is printed of what the user or the machine can mend. Any other error is a fault of the
    program, or of a module that the user has written: its traceback follows. `--traceback`, which every tool
    takes, shows it for every error.
    """
    always = TRACEBACK in sys.argv
    sys.argv[:] = [argument for argument in sys.argv if argument != TRACEBACK]
    status: int = FAULT
    try:
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


def _report(line: str, error: BaseException, status: int, with_traceback: bool) -> int:
    lines = [line, *getattr(error, '__notes__', ())]
    if with_traceback:
        lines += ['', ''.join(traceback.format_exception(error)).rstrip()]
    sys.stderr.write('\n'.join(lines) + '\n')
    return status


def interrupted(error: BaseException | None) -> bool:
    """Whether an error is Ctrl-C, or what a library made of it."""
    return error is not None and (
        isinstance(error, KeyboardInterrupt) or interrupted(error.__cause__) or interrupted(error.__context__)
    )
