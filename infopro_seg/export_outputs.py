"""Checks, before an export begins, that it will replace nothing but an earlier export."""

from __future__ import annotations

import json
from pathlib import Path

from infopro_seg.checkpoints import read_checkpoint
from infopro_seg.errors import CheckpointError, UserError
from infopro_seg.outputs import require_file

METADATA = {'classes', 'palette', 'mean', 'std'}  # of what lies beside an exported graph


def require_replaceable_export(out: Path, checkpoint: Path, beside: str) -> None:
    """Says before the work that an export could not be written, or would replace what is no export.

    Args:
        out: the file to write.
        checkpoint: what is exported.
        beside: the suffix of the second file, which is written beside it.

    Raises:
        UserError: a file exists that is not of an earlier export, or nothing can be written there.
    """
    if out.resolve() == checkpoint.resolve():
        raise UserError(f'--out {out} is the checkpoint itself, which the export would replace; name another')
    require_file(out, '--out')
    second = out.with_suffix(beside)
    if out.exists() != second.exists():  # an export has both
        there = f'{second}, which the export writes beside it,' if second.exists() else 'this file'
        raise UserError(
            f'--out {out}: {there} already exists and is not a complete export; delete it, or name another '
            'file or folder'
        )
    if out.is_file() and not _is_export(out, second):
        raise UserError(
            f'--out {out}: this file and {second} already exist and are not an earlier export, or have been '
            'changed since, so they are not replaced; name another file or folder'
        )


def _is_export(out: Path, second: Path) -> bool:
    """Whether the second file repeats the config in the first, or describes a graph, as in an export."""
    try:
        text = second.read_text(encoding='utf-8')
        if second.suffix == '.json':
            content = json.loads(text)
            return isinstance(content, dict) and content.keys() >= METADATA
        return bool(read_checkpoint(out)['meta']['cfg'] == text)
    except (OSError, ValueError, KeyError, TypeError, CheckpointError):
        return False
