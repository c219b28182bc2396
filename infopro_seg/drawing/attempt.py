"""Pictures are drawn last, and none of them may take the numbers with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def drawing(picture: Path | str, warn: Callable[[str], None]) -> Iterator[None]:
    """Goes on after a picture that cannot be drawn.

    Args:
        picture: its file, or what it shows.
        warn: gets a line that says why.
    """
    try:
        yield
    except Exception as error:  # whatever it is, the run goes on
        reason = ' '.join(str(error).split())
        warn(f'{picture} could not be drawn ({type(error).__name__}: {reason}); nothing else is lost')
