"""Finds what exists instead of a missing file, and files that mmseg silently leaves out."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from unicodedata import normalize

from infopro_seg.datasets.problems import Problem
from infopro_seg.files import is_special


def instead_of(path: Path) -> str:
    """The end of a message about a missing file: which existing file was probably meant."""
    if path.is_symlink():
        return f': it is a link to {path.readlink()}, which is not there'
    if is_special(path):
        return f': it is a {"folder" if path.is_dir() else "pipe or device"}, not a file'
    try:
        names = sorted(other.name for other in path.parent.iterdir())
    except OSError:
        return ''
    for name in names:
        if name.lower() == path.name.lower() and name != path.name:
            return f', but there is {name}, whose name differs in case'
        if normalize('NFC', name) == normalize('NFC', path.name):
            return (
                f', but there is {name} in another form of Unicode (an accent apart from its letter, or '
                'not): rename the files to one form'
            )
        added = path.name.removeprefix(name)
        if added != path.name and name.endswith(added):
            return f', but there is {name}: {added} was added to a name that has it already'
    return ''


def visible_files(folder: str) -> Iterator[str]:
    """The paths of all files below a folder, except hidden ones, such as the ._name of macOS."""
    for top, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith('.')]
        yield from (os.path.join(top, name) for name in names if not name.startswith('.'))  # noqa: PTH118


def hidden(folder: str, listed: Collection[str]) -> list[Problem]:
    """Hidden folders whose images a data set contains, such as Jupyter's `.ipynb_checkpoints`.

    Args:
        folder: the folder of the images.
        listed: normalised paths of the images in the data set.
    """
    found = set()
    for path in listed:
        parts = Path(os.path.relpath(path, folder)).parts[:-1]
        at = next((at for at, part in enumerate(parts) if part.startswith('.') and part != '..'), None)
        if at is not None:
            found.add(Path(folder, *parts[: at + 1]))
    what = (
        'the folder is hidden, but its images are part of the data set; Jupyter keeps copies in such folders'
    )
    return [Problem(path, what, 'remove it, or give it another name') for path in sorted(found)]


def left_out(folder: str, suffix: str, listed: Collection[str]) -> list[Problem]:
    """Images that a data set leaves out: their suffix differs in case, or they link to nothing.

    Args:
        folder: the folder of the images.
        suffix: the end of their names.
        listed: normalised paths of the images in the data set.
    """
    found = []
    for path in sorted(visible_files(folder)):
        if os.path.normpath(path) in listed or not path.lower().endswith(suffix.lower()):
            continue
        if path.endswith(suffix):
            what = f'the image is left out{instead_of(Path(path))}'
            found.append(Problem(Path(path), what, 'restore what it links to, or remove the link'))
        else:
            what = f'the image is left out: its suffix differs in case from img_suffix {suffix!r}'
            found.append(Problem(Path(path), what, f'rename it to end in {suffix}'))
    return found
