"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that ends with a line break: the first column aligned to the left, the others to the right."""
    rule = ['---', *['---:'] * (len(header) - 1)]
    return ''.join(f'| {" | ".join(cells)} |\n' for cells in (header, rule, *rows))
