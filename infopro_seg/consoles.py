"""The consoles of the commands: tables on stdout; progress and messages on stderr."""

from __future__ import annotations

import logging

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

WIDTH = 150  # columns of tables where the output is no terminal


def table_console(stderr: bool = False) -> Console:
    """A console for tables, wide enough for them also where the output is no terminal."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=WIDTH)


def counting(console: Console | None = None, transient: bool = False) -> Progress:
    """A progress bar on stderr that counts, e.g. files.

    Args:
        console: where else to show it.
        transient: whether it disappears at the end.
    """
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console or Console(stderr=True), transient=transient)


def logged_counting() -> Progress:
    """A progress bar on stderr, with the program's log above it."""
    console = Console(stderr=True)
    handler = RichHandler(console=console, show_path=False, show_time=False)
    logging.basicConfig(level=logging.INFO, format='%(message)s', handlers=[handler])
    return counting(console)
