"""A problem of a file in a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """A problem that makes a data set unusable as it is.

    Args:
        path: the file or folder.
        what: the problem.
        remedy: what to do about it.
    """

    path: Path
    what: str
    remedy: str

    def __str__(self) -> str:
        return f'{self.path}: {self.what}; {self.remedy}'
