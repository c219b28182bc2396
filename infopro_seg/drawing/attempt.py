"""Draws pictures so that a failure loses no numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def drawing(picture: Path | str, warn: Callable[[str], None]) -> Iterator[None]:
    """Turns the failure to draw a picture into a warning.

    Args:
        picture: its file, or what it shows.
        warn: called with a line that says why.
    """
    try:
        yield
    except Exception as error:  # whatever it is, the run goes on
        reason = ' '.join(str(error).split())
        warn(f'{picture} could not be drawn ({type(error).__name__}: {reason}); nothing else is lost')
