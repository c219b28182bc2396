"""How to install optional packages without replacing the installed torch."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

BUILD = re.compile(r'cpu|xpu|cu\d+|rocm[\d.]+')  # those of which PyTorch has an index of wheels
AFTER = 15  # torch 2.x and torchvision 0.(x + 15) belong together


def torchvision() -> str:
    """What to give pip for the torchvision that fits the installed torch; unpinned, pip may replace torch."""
    try:
        found = re.match(r'2\.(\d+)[^+]*(?:\+(.+))?', version('torch'))
    except PackageNotFoundError:
        found = None
    if found is None:
        return 'torchvision'
    pinned = f'"torchvision==0.{int(found[1]) + AFTER}.*"'
    build = found[2]  # such as cpu or cu126, which is not the one of PyPI
    if build is None:
        return pinned
    if not BUILD.fullmatch(build):  # a vendor's, or one from source
        return f'{pinned} --no-deps'
    return f'{pinned} --extra-index-url https://download.pytorch.org/whl/{build}'
