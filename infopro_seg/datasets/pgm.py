"""PGM files: Pillow scales their levels to 0 to 255, or 65535, if another level is the highest."""

from __future__ import annotations

import re

import numpy as np

MOST_OF_8, MOST_OF_16 = 2**8 - 1, 2**16 - 1
HEAD = re.compile(rb'P[25]' + 3 * rb'(?:\s|#[^\r\n]*[\r\n])+(\d+)')  # width, height and highest level
LONGEST = 4096  # bytes, with comments


def scaled_from(start: bytes) -> int:
    """The highest level of a PGM whose levels Pillow scales; 0 for all other files.

    Args:
        start: the first bytes of a file, `LONGEST` or more if it has them.
    """
    head = HEAD.match(start)
    highest = 0 if head is None else int(head[3])
    return 0 if highest in (MOST_OF_8, MOST_OF_16) else highest


def is_text(start: bytes) -> bool:
    """Whether a file is a PGM of digits, whose levels below 255 OpenCV scales as Pillow does."""
    return start.startswith(b'P2')


def as_stored(levels: np.ndarray, highest: int) -> np.ndarray:
    """The levels of a PGM as they are stored, from those that Pillow has scaled.

    Args:
        levels: as Pillow gives them.
        highest: see :func:`scaled_from`.
    """
    most = MOST_OF_8 if highest < MOST_OF_8 else MOST_OF_16
    return np.rint(levels * (highest / most)).astype(levels.dtype)
