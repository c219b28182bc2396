"""What is wrong with a file of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Problem:
    """Something that keeps a data set from being used as it is.

    Args:
        path: the file or folder it is about.
        what: what is wrong with it.
        remedy: what to do about it.
    """

    path: Path
    what: str
    remedy: str

    def __str__(self) -> str:
        return f'{self.path}: {self.what}; {self.remedy}'
