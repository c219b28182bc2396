"""Amounts of memory and ranges of numbers, as people write them; and the largest number that fits."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

from infopro_seg.errors import UserError

GIB = 2**30
FACTORS = {'k': 10**3, 'm': 10**6, 'g': 10**9, 't': 10**12, 'ki': 2**10, 'mi': 2**20, 'gi': GIB, 'ti': 2**40}


def parse_bytes(text: str) -> int:
    """Reads an amount of memory, e.g. `11GiB`, `11 GB`, `10500MiB`.

    Raises:
        UserError: the text is not a positive number with a unit.
    """
    match = re.fullmatch(r'\s*([0-9]*\.?[0-9]+)\s*([kmgt]i?)b?\s*', text.lower())
    if match is None or float(match[1]) <= 0:
        raise UserError(f'cannot read the budget {text!r}; write a positive number with its unit, e.g. 11GiB')
    return round(float(match[1]) * FACTORS[match[2]])


@dataclass(frozen=True)
class Unit:
    """The unit in which amounts are shown side by side.

    Args:
        name: its symbol.
        size: its bytes.
        decimals: digits after the point in shown amounts.
    """

    name: str
    size: int
    decimals: int

    def number(self, amount: float) -> str:
        """An amount in bytes as a number of this unit."""
        return f'{amount / self.size:.{self.decimals}f}'


def unit_for(reference: float) -> Unit:
    """The unit for amounts beside a reference in bytes: GiB, or MiB below one GiB."""
    return Unit('GiB', GIB, 2) if reference >= GIB else Unit('MiB', 2**20, 1)


def show_bytes(size: int, reference: int) -> str:
    """An amount of memory, in the unit for the reference."""
    unit = unit_for(reference)
    return f'{unit.number(size)} {unit.name}'


def fits_text(size: int, budget: int | None) -> str:
    """Whether an amount is within a budget, for a table; empty without a budget."""
    return '' if budget is None else 'yes' if size <= budget else 'no'


def parse_numbers(text: str) -> list[int]:
    """Reads numbers of modules in ascending order, e.g. `4`, `1-8` or `1,4,6-8`.

    Raises:
        UserError: the text is not made of numbers of 1 or more and ranges of them.
    """
    found: set[int] = set()
    for part in text.split(','):
        match = re.fullmatch(r'\s*(\d+)\s*(?:-\s*(\d+)\s*)?', part)
        numbers = range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)
        if not numbers or numbers[0] < 1:
            raise UserError(f'cannot read the numbers of modules {text!r}; write e.g. 4, 1-8 or 1,4,6-8')
        found.update(numbers)
    return sorted(found)


def largest(fits: Callable[[int], bool], limit: int = sys.maxsize) -> int:
    """The largest number for which `fits` holds, by doubling and bisection; 0 if it does not hold for 1.

    Args:
        fits: holds up to some number, and not above it.
        limit: the largest number to try.
    """
    low, high = 0, limit + 1
    while high - low > 1:
        middle = min(max(2 * low, 1), (low + high) // 2)
        if fits(middle):
            low = middle
        else:
            high = middle
    return low
