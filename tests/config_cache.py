"""Reads each shipped config once: tests ask for the same files some hundred times."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'

_read = Config.fromfile


def install() -> None:
    """Lets `Config.fromfile` give copies of the shipped configs that it has read before."""
    Config.fromfile = staticmethod(_fromfile)


@cache
def _once(filename: str, path: Path) -> Config:
    return _read(filename)


def _fromfile(filename: str | Path, *args: Any, **kwargs: Any) -> Config:
    path = Path(filename).resolve()
    if args or kwargs or CONFIGS not in path.parents:
        return _read(filename, *args, **kwargs)
    return deepcopy(_once(str(filename), path))
