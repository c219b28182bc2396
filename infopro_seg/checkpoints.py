"""Reading checkpoints, and the config that lies inside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from infopro_seg.errors import CheckpointError


def require_file(checkpoint: str | Path) -> None:
    """Checks that a checkpoint exists.

    Raises:
        CheckpointError: it does not.
    """
    path = Path(checkpoint)
    if not path.is_file():
        nearby = sorted(str(p) for p in path.parent.glob('*.pth')) if path.parent.is_dir() else []
        hint = f'there are {", ".join(nearby)}' if nearby else f'{path.parent} holds none'
        raise CheckpointError(f'no checkpoint {path}; {hint}')


def read_checkpoint(checkpoint: str | Path) -> dict[str, Any]:
    """Reads a checkpoint into CPU memory.

    Raises:
        CheckpointError: the file is missing or is no checkpoint.
    """
    require_file(checkpoint)
    try:
        content: dict[str, Any] = CheckpointLoader.load_checkpoint(
            str(checkpoint), map_location='cpu', logger='silent'
        )
    except Exception as error:  # torch raises whatever its unpickler does
        raise unreadable_checkpoint(checkpoint, error) from error
    if not isinstance(content, dict):
        raise CheckpointError(f'{checkpoint} holds a {type(content).__name__}, not a checkpoint')
    return content


def unreadable_checkpoint(checkpoint: str | Path, error: Exception) -> CheckpointError:
    """The error for a file that cannot be read as a checkpoint."""
    return CheckpointError(
        f'cannot read the checkpoint {checkpoint}: {type(error).__name__}: {error}; it is no checkpoint, or '
        'was not written or downloaded to its end: take another'
    )


def config_of(checkpoint: dict[str, Any], name: str | Path) -> Config:
    """The config that a checkpoint was trained with, as mmengine stores it.

    Raises:
        CheckpointError: it holds none.
    """
    text = checkpoint.get('meta', {}).get('cfg')
    if not text:
        raise CheckpointError(f'{name} holds no config (meta.cfg), as checkpoints of a training do')
    return Config.fromstring(text, '.py')
