"""The consoles of the commands: tables on stdout; progress, messages and the log on stderr."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from infopro_seg.files import escape_unknown

WIDTH = 150  # columns of tables if the output is not a terminal


def table_console(stderr: bool = False) -> Console:
    """A console for tables, wide enough for them even if the output is not a terminal."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=WIDTH)


def new_table(
    title: str, columns: Iterable[str], texts: Collection[str], caption: str | None = None
) -> Table:
    """A table without rows.

    Args:
        title: the title above it.
        columns: names of the columns.
        texts: names of the columns that are aligned on the left; numbers are aligned on the right.
        caption: a text below it.
    """
    table = Table(title=title, caption=caption)
    for name in columns:
        table.add_column(name, justify='left' if name in texts else 'right')
    return table


def message_console() -> Console:
    """A console for progress and messages, on stderr."""
    return Console(stderr=True)


def counting(console: Console | None = None, transient: bool = False) -> Progress:
    """A progress bar on stderr that counts, e.g. files.

    Args:
        console: another console to show it on.
        transient: whether the bar disappears at the end.
    """
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console or message_console(), transient=transient)


def logged_counting() -> Progress:
    """A progress bar on stderr, with the program's log above it."""
    console = message_console()
    handler = RichHandler(console=console, show_path=False, show_time=False)
    logging.basicConfig(level=logging.INFO, format='%(message)s', handlers=[handler])
    return counting(console)


@contextmanager
def spinner() -> Iterator[Callable[[str], None]]:
    """A spinner on stderr that names the current step; without a terminal, a line for each step."""
    console = message_console()
    if not console.is_terminal:
        yield partial(console.print, markup=False, highlight=False, soft_wrap=True)
        return
    columns = SpinnerColumn(), TextColumn('{task.description}'), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task('reading the config', total=None)

        def report(text: str) -> None:
            progress.update(task, description=text)

        yield report


class WithoutDumps(logging.Filter):
    """Keeps mmengine's dumps of environment, config and hooks out of the console; the log file has them."""

    STARTS = (
        '\n---',  # the environment
        'Config:',
        'Hooks will be executed',
        'Distributed training is not used',
        'Advance dataloader',  # it advances the sampler only; nothing is loaded
        'The prefix is not set',
        '"FileClient" will be',
        '"HardDiskBackend" is',
        'resumed key:',  # log values that are computed again
    )

    PARTS = (
        'is skipped since its requires_grad=False',  # one line for each frozen parameter
        ' - torch.Size(',  # the initialisation of each parameter
    )

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is for the console."""
        message = record.getMessage()
        if getattr(record, 'file_only', False):
            return False
        return not message.startswith(self.STARTS) and not any(part in message for part in self.PARTS)


def quiet_console(logger: logging.Logger) -> None:
    """Filters what a logger prints on the console, not what it writes to files."""
    logging.raiseExceptions = False  # a full disk would print a traceback for each line of the log
    for handler in logger.handlers:
        escape_unknown(getattr(handler, 'stream', None))  # or the line would be lost
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.addFilter(WithoutDumps())


def log_to_stderr() -> None:
    """Moves mmengine's log on the console from stdout to stderr, where stdout is for data."""
    from mmengine.logging import MMLogger  # exported networks are predicted without it

    for handler in MMLogger.get_current_instance().handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.stream = sys.stderr


def leave_out(logger: logging.Logger, start: str) -> None:
    """Keeps messages with this start out of the console, because they do not apply."""
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.addFilter(lambda record: not record.getMessage().startswith(start))
