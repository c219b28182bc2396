"""Checks, before the work begins, that its results can be written."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from infopro_seg.errors import OutputError, UserError
from infopro_seg.files import is_special

RESULTS = (  # keys of what the tools write with --json, or of its first row
    {'percent', 'checkpoint'},  # test.py
    {'split', 'images_read'},  # check_dataset.py
    {'recipe', 'peak_gib'},  # plan.py, and the next three
    {'training', 'peak_bytes'},
    {'cuts', 'processes'},
    {'in_training', 'peak'},
)


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
    """Checks as `require_file` does, and that nothing but an earlier result is replaced.

    Raises:
        UserError: the file cannot be written, or exists and no tool has written it as its JSON.
    """
    if str(path) == '-':
        raise UserError(f'{option} - stands for no file: this tool prints more on stdout; name a file')
    file = require_file(path, option)
    require_own(file, RESULTS, f'{option} {file}')
    return file


def require_own(file: Path, kinds: Sequence[set[str]], name: str, remedy: str = 'name another file') -> None:
    """Checks that a JSON file, if there is one, is empty or an earlier result.

    Args:
        file: the file.
        kinds: the keys of each kind of result, or of its first row.
        name: what names the file, for the message.
        remedy: for the message.

    Raises:
        UserError: it is another file, which would be replaced.
    """
    if file.is_file() and not _is_result(file, kinds):
        raise UserError(
            f'{name} already exists and is not an earlier result, so it is not replaced; {remedy}'
        )


def require_own_results(folder: Path, keys: set[str]) -> None:
    """Checks that a folder's `results.json`, if there is one, is an earlier result with these keys.

    Raises:
        UserError: it is of another tool or of the user, and would be replaced.
    """
    require_own(folder / 'results.json', (keys,), str(folder / 'results.json'), 'name another folder (--out)')


def _is_result(file: Path, kinds: Sequence[set[str]]) -> bool:
    with file.open('rb') as stream:
        start = stream.read(1024).lstrip()[:1]
        if start not in (b'{', b'['):
            return start == b''
        stream.seek(0)
        try:
            content = json.load(stream)
        except (ValueError, RecursionError):
            return False
    first = content[0] if isinstance(content, list) and content else content
    return not first or (isinstance(first, dict) and any(keys <= first.keys() for keys in kinds))


def reason_of(error: OSError) -> str:
    """The system's own words, e.g. 'Permission denied'."""
    return error.strerror or str(error)
