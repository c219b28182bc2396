"""Finds what a misspelt name may mean, and which names a class accepts."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable
from typing import Any

LEAST = 3  # letters of a name cut short; fewer are in many names


def did_you_mean(name: str, choices: Iterable[str], cutoff: float = 0.7) -> str:
    """`; did you mean ...?` with the name that is nearest, or nothing if none is near."""
    found = nearest(name, choices, cutoff)
    return f'; did you mean {found}?' if found else ''


def nearest(name: str, choices: Iterable[str], cutoff: float = 0.7) -> str | None:
    """The name nearest to one that may be misspelt, regardless of case; None if none is near."""
    by_lower = {choice.lower(): choice for choice in choices}
    found = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[found[0]] if found else None


def alike(name: str, choices: Iterable[str], most: int = 3) -> list[str]:
    """The names that are near one that may be misspelt or cut short, nearest first."""
    names = list(choices)
    longer = [choice for choice in names if len(name) >= LEAST and name.lower() in choice.lower()]
    near = difflib.get_close_matches(name, names, n=most, cutoff=0.7)
    return list(dict.fromkeys([*near, *longer]))[:most]


def arguments_of(kind: Any) -> list[str]:
    """The named arguments of a class, including those it passes on to its bases."""
    found: dict[str, None] = {}
    for base in inspect.getmro(kind) if inspect.isclass(kind) else [kind]:
        function = base.__dict__.get('__init__') if inspect.isclass(base) else base
        if not inspect.isfunction(function):
            continue
        parameters = list(inspect.signature(function).parameters.values())
        found |= {p.name: None for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return [name for name in found if name not in ('self', 'runner', 'dataloader', 'optimizer')]
