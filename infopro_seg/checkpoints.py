"""Reads checkpoints and the configs inside them; says where weights are looked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import get_deprecated_model_names, get_external_models, get_mmcls_models

from infopro_seg.errors import CheckpointError, UserError
from infopro_seg.faults import cause_of, explained
from infopro_seg.installing import torchvision

LAST_CHECKPOINT = 'last_checkpoint'  # the file in a work dir that names the latest
SCHEMES = {
    'open-mmlab://': get_external_models,
    'openmmlab://': get_external_models,
    'mmcls://': get_mmcls_models,
}
URLS = ('http://', 'https://')

# mmengine's checkpoints contain its log history, with numpy types that its own allow-list lacks
torch.serialization.add_safe_globals(
    [type(np.dtype(kind)) for kind in ('bool', 'int32', 'int64', 'uint8', 'float16', 'float32', 'float64')]
)


def require_start(load_from: str) -> None:
    """Checks that the weights to start from exist, if they are a file.

    Args:
        load_from: the config's `load_from`: a path, a URL, or a name such as `open-mmlab://...`.

    Raises:
        CheckpointError: there is no such file.
    """
    path = Path(load_from)
    if '://' not in load_from and path.is_dir():
        raise CheckpointError(
            f'load_from={load_from!r} is a folder, not a checkpoint; {_checkpoints_in(path)}. Name a file, '
            'or continue the run with --resume'
        )
    if '://' not in load_from and not path.is_file():
        raise CheckpointError(
            f'load_from={load_from!r}: there is no file {path.absolute()}; {_checkpoints_in(path.parent)}. '
            'Correct it, or start without it (--cfg-options load_from=None)'
        )


def require_file(checkpoint: str | Path) -> None:
    """Checks that a checkpoint exists.

    Raises:
        CheckpointError: there is no such file.
    """
    path = Path(checkpoint)
    if path.is_dir():
        raise CheckpointError(f'{path} is a folder, not a checkpoint; {_checkpoints_in(path)}')
    if not path.is_file():
        raise CheckpointError(f'no checkpoint {path}; {_checkpoints_in(path.parent)}')


def read_checkpoint(checkpoint: str | Path) -> dict[str, Any]:
    """Reads a checkpoint into CPU memory.

    Raises:
        CheckpointError: the file is missing or is not a checkpoint.
    """
    require_file(checkpoint)
    try:
        content: dict[str, Any] = CheckpointLoader.load_checkpoint(
            str(checkpoint), map_location='cpu', logger='silent'
        )
    except Exception as error:  # unpickling may raise any error
        raise unreadable_checkpoint(checkpoint, error) from error
    if not isinstance(content, dict):
        raise CheckpointError(f'{checkpoint} contains a {type(content).__name__}, not a checkpoint')
    unwrap(content, checkpoint)
    return content


def unwrap(checkpoint: dict[str, Any], name: str | Path) -> None:
    """Makes the weights of a checkpoint those of a plain model in torch, in place.

    The prefix of a model that was wrapped when it was saved (`DataParallel`) is removed from their names, and
    arrays of NumPy, which mmengine would leave out, become tensors. A `meta` of another program is removed.

    Args:
        checkpoint: a checkpoint, or only a state dict.
        name: name of the checkpoint, for the error message.

    Raises:
        CheckpointError: it does not contain weights by name.
    """
    weights = checkpoint.get('state_dict', checkpoint)
    if not isinstance(weights, dict) or not all(isinstance(key, str) for key in weights):
        raise CheckpointError(
            f'{name} contains {_what(weights)} in place of weights by name (a state_dict); use a checkpoint '
            "of a training, or save one: torch.save({'state_dict': model.state_dict()}, FILE)"
        )
    if not isinstance(checkpoint.get('meta', {}), dict):
        del checkpoint['meta']
    for prefix in ('module.', '_orig_mod.'):  # of torch's parallel wrappers and of torch.compile
        if weights and all(key.startswith(prefix) for key in weights):
            for key in list(weights):
                weights[key.removeprefix(prefix)] = weights.pop(key)
    for key, value in weights.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in 'fiub':
            weights[key] = torch.from_numpy(value)


def unreadable_checkpoint(checkpoint: str | Path, error: Exception) -> UserError:
    """The error for a checkpoint that cannot be read or downloaded, also through a fault of the machine."""
    if '://' in str(checkpoint):
        return CheckpointError(
            f'cannot load {checkpoint} ({type(error).__name__}: {error}). It is looked for in '
            f'{location_of(str(checkpoint))}. Put the file there, or give the path of a file '
            '(--cfg-options load_from=FILE)'
        )
    if isinstance(error, (OSError, MemoryError)):
        known = explained(error)
        if known is not None:
            return known
    return CheckpointError(
        f'cannot read the checkpoint {checkpoint}: {type(error).__name__}: {error}; it is not a '
        'checkpoint, or it is incomplete; use another'
    )


def location_of(name: str) -> str:
    """The file behind a name and where it is looked for, as part of an error message."""
    for scheme, known in SCHEMES.items():
        if name.startswith(scheme):
            model = name.removeprefix(scheme)
            return location_of(known()[get_deprecated_model_names().get(model, model)])
    if name.startswith(URLS):
        folder = Path(torch.hub.get_dir()) / 'checkpoints'
        return f'{folder / name.rpartition("/")[2]}, downloaded from {name} if it is missing'
    if name.startswith(('torchvision://', 'modelzoo://')):
        folder = Path(torch.hub.get_dir()) / 'checkpoints'
        return (
            f'a file in {folder}, downloaded if it is missing; its name comes from the package '
            f'torchvision: pip install {torchvision()}'
        )
    if '://' in name:
        return name
    return str(Path(name).absolute())


def _checkpoints_in(folder: Path) -> str:
    nearby = sorted(str(path) for path in folder.glob('*.pth')) if folder.is_dir() else []
    return f'there are {", ".join(nearby)}' if nearby else f'{folder} holds none'


def config_of(checkpoint: dict[str, Any], name: str | Path) -> Config:
    """The config that a checkpoint was trained with, as mmengine stores it.

    Raises:
        CheckpointError: the checkpoint contains no config.
    """
    text = checkpoint.get('meta', {}).get('cfg')
    if not text:
        raise CheckpointError(f'{name} holds no config (meta.cfg), as checkpoints of a training do')
    try:
        return Config.fromstring(text, '.py')
    except Exception as error:  # a config is a program and may raise anything
        raise CheckpointError(
            f'the config in {name} (meta.cfg) cannot be read: {cause_of(error)}; use another checkpoint'
        ) from error


def _what(weights: Any) -> str:
    kind = type(weights).__name__
    odd = (
        next((key for key in weights if not isinstance(key, str)), None)
        if isinstance(weights, dict)
        else None
    )
    return f'a {kind}' if odd is None else f'a {kind} with the key {odd!r}'
