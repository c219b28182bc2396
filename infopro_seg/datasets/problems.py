"""Problems of the files in a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
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


def problem_lines(problems: Sequence[Problem], most: int = 20) -> list[str]:
    """The first problems as lines; what problems in a row have in common, the remedy, is said once.

    Args:
        problems: all problems.
        most: how many are shown.
    """
    lines = []
    for remedy, group in groupby(problems[:most], lambda problem: problem.remedy):
        alike = list(group)
        if len(alike) == 1:
            lines.append(f'problem: {alike[0]}')
        else:
            lines += [f'problem: {problem.path}: {problem.what}' for problem in alike]
            lines.append(f'remedy: {remedy}')
    return lines
