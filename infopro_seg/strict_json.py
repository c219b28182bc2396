"""JSON that every reader takes: it has no NaN and no infinity, which become null."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from infopro_seg.files import whole_file

STDOUT = Path('-')  # how an option names stdout


def to_json(content: Any, indent: int | None = 2) -> str:
    """A text that ends with a line break.

    Args:
        content: dicts, lists, strings and numbers, also those of numpy.
        indent: columns per level; None for a single line.
    """
    return json.dumps(finite(content), indent=indent, allow_nan=False) + '\n'


def write_json(path: Path, content: Any, indent: int | None = 2) -> None:
    """Writes a file, see :func:`to_json`; whoever reads it meanwhile sees the old one or the new one."""
    with whole_file(path) as partial:
        partial.write_text(to_json(content, indent), encoding='utf-8')


def write_or_print_json(path: Path, content: Any) -> None:
    """Writes a file; prints to stdout instead if the path is `STDOUT`."""
    if path == STDOUT:
        sys.stdout.write(to_json(content))
    else:
        write_json(path, content)


def finite(value: Any) -> Any:
    """A copy of a content with None for each number that is none."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return finite(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
