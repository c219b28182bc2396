"""Amounts of memory and ranges of numbers, as people write them."""

from __future__ import annotations

import re

from infopro_seg.errors import UserError

GIB = 2**30
DIGITS = {'GiB': 2, 'MiB': 1}  # decimals in shown amounts
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


def unit_for(reference: int) -> tuple[str, int]:
    """The unit to show amounts in beside a reference, and its bytes: GiB, or MiB below one GiB."""
    return ('GiB', GIB) if reference >= GIB else ('MiB', 2**20)


def show_bytes(size: int, reference: int) -> str:
    """An amount of memory, with the unit of the reference."""
    unit, factor = unit_for(reference)
    return f'{size / factor:.{DIGITS[unit]}f} {unit}'


def parse_range(text: str) -> range:
    """Reads numbers of modules, e.g. `1-8` or `4`.

    Raises:
        UserError: the text is neither a number nor a range of numbers of 1 or more.
    """
    match = re.fullmatch(r'\s*(\d+)\s*(?:-\s*(\d+)\s*)?', text)
    found = range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)
    if not found or found[0] < 1:
        raise UserError(f'cannot read the numbers of modules {text!r}; write e.g. 4 or 1-8')
    return found
