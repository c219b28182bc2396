"""What the scripts that write tables into pages share."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any


def written(text: str, lines_of: dict[str, list[str]]) -> str:
    """A page with the lines of its tables, by their headers."""
    for header, lines in lines_of.items():
        before, header, after = text.partition(f'{header}\n')
        rule, rest = after.split('\n', 1)
        text = '\n'.join([before + header + rule, *lines]) + '\n\n' + rest.partition('\n\n')[2]
    return text


def line(*cells: Any) -> str:
    """A line of a table."""
    return '|' + ''.join(f' {cell} |' if cell != '' else ' |' for cell in cells)


def figures(values: Sequence[float], digits: int = 2) -> str:
    """Values, one after the other."""
    return ', '.join(f'{value:.{digits}f}' for value in values)


def spread(values: Sequence[float], sign: str = '', digits: int = 2) -> str:
    """Mean, and standard deviation if there are several values."""
    found = f'{mean(values):{sign}.{digits}f}'
    return f'{found} ± {stdev(values):.{digits}f}' if len(values) > 1 else found
