"""Pictures are drawn last, and none of them may take the numbers with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def drawing(path: Path, warn: Callable[[str], None]) -> Iterator[None]:
    """Goes on after a picture that cannot be drawn.

    Args:
        path: the picture.
        warn: gets a line that says why.
    """
    try:
        yield
    except Exception as error:  # whatever it is: the numbers are written, and the run goes on
        reason = ' '.join(str(error).split())
        warn(f'{path} could not be drawn ({type(error).__name__}: {reason}); the numbers are written')
