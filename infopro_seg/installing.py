"""How to install optional packages without replacing the installed torch."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

AFTER = 15  # torch 2.x and torchvision 0.(x + 15) belong together


def torchvision() -> str:
    """What to give pip for the torchvision that fits the installed torch; unpinned, pip may replace torch."""
    try:
        found = re.match(r'2\.(\d+)', version('torch'))
    except PackageNotFoundError:
        found = None
    if found is None:
        return 'torchvision'
    pinned = f'"torchvision==0.{int(found[1]) + AFTER}.*"'
    if '+' in found.string:  # a build such as 2.13.0+cpu is not that of pip's own index
        return f'{pinned} --extra-index-url INDEX_THAT_HAS_YOUR_TORCH'
    return pinned
