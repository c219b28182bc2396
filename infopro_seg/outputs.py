"""Checks, before the work begins, that its results can be written."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from infopro_seg.errors import OutputError, UserError
from infopro_seg.files import is_special


def require_folder(path: str | Path, option: str = '--out') -> Path:
    """Creates a folder if needed, and checks that files can be written to it.

    Args:
        path: the folder.
        option: what names it, for the message.

    Raises:
        UserError: the path is a file.
        OutputError: the folder cannot be created or written to.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise UserError(f'{option} {folder} is a file; name a folder')
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b'a')
    except OSError as error:
        raise OutputError(f'cannot write to {option} {folder}: {reason_of(error)}; name another') from error
    return folder


def require_file(path: str | Path, option: str, suffixes: Sequence[str] = ()) -> Path:
    """Checks that a file can be written, and creates its folder.

    Args:
        path: the file.
        option: what names it, for the message.
        suffixes: allowed suffixes, in lower case; empty for any.

    Raises:
        UserError: the path is a folder, has another suffix, or cannot be written.
    """
    file = Path(path)
    if file.is_dir():
        raise UserError(f'{option} {file} is a folder; name a file')
    if suffixes and file.suffix.lower() not in suffixes:
        raise UserError(f'{option} {file} does not end in {" or ".join(suffixes)}; name such a file')
    if file.parent.is_file():
        raise UserError(f'{option} {file}: {file.parent} is a file, not a folder; name another place')
    if not is_special(file):
        require_folder(file.parent, f'{option} {file}, in')
    return file


def require_json(path: str | Path, option: str = '--json') -> Path:
    """Checks as `require_file` does, and that no file of another kind, such as a checkpoint, is replaced.

    Raises:
        UserError: the file cannot be written, or exists and is not a JSON file.
    """
    file = require_file(path, option)
    if file.is_file():
        with file.open('rb') as stream:
            start = stream.read(1024).lstrip()[:1]
        if start not in (b'', b'{', b'['):
            raise UserError(
                f'{option} {file} already exists and is not a JSON file, so it is not replaced; name '
                'another file'
            )
    return file


def reason_of(error: OSError) -> str:
    """The system's own words, e.g. 'Permission denied'."""
    return error.strerror or str(error)
