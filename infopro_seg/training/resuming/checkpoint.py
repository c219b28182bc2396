"""Which checkpoint a run continues, and whether it can be continued."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.logging import MMLogger
from mmengine.registry import HOOKS

from infopro_seg.checkpoints import LAST_CHECKPOINT, read_checkpoint
from infopro_seg.datasets.building import is_stock
from infopro_seg.errors import CheckpointError
from infopro_seg.training.checks.config_parts import class_of


def latest_checkpoint(cfg: Config) -> Path | None:
    """The checkpoint from which a run continues; None if it has saved none.

    This is the file that `last_checkpoint` names, but always in the run's own folder: a copied or moved run
    never reads its old folder. If the file is missing or damaged, it is the newest intact checkpoint that
    can be continued, and a warning says so.

    Args:
        cfg: the config of the run, with its `work_dir`.

    Raises:
        CheckpointError: `last_checkpoint` names a file, but no checkpoint can be continued.
    """
    note, folder = Path(cfg.work_dir) / LAST_CHECKPOINT, checkpoint_folder(cfg)
    text = note.read_text(errors='replace').strip('\0 \n') if note.is_file() else None
    noted = folder / Path(text).name if text else None
    if noted is not None and is_whole(noted):
        return noted
    suffixes = {'.pth', noted.suffix} if noted else {'.pth'}
    left = [path for path in folder.glob('*') if path.suffix in suffixes and path != noted]
    left.sort(key=_number, reverse=True)
    newest = next((path for path in left if is_whole(path) and not lacking(read_checkpoint(path), cfg)), None)
    problem = _problem(note, text, noted)
    if newest is not None:
        MMLogger.get_current_instance().warning(f'{problem}; continuing {newest}, the newest intact one')
    elif text is not None:
        there = f'none of {", ".join(map(str, left))}' if left else f'no checkpoint in {folder}'
        raise CheckpointError(
            f'{problem}, and there is no other to continue: {there} is intact and has optimizer and '
            f'schedule. Give another with --resume FILE, or delete {note} to start anew'
        )
    elif left:
        MMLogger.get_current_instance().warning(
            f'{problem}, and none of {", ".join(map(str, left))} is intact and has optimizer and schedule; '
            'starting anew'
        )
    return newest


def checkpoint_folder(cfg: Config) -> Path:
    """The folder in which the checkpoint hook of a config saves, as mmengine chooses it."""
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    work_dir = Path(cfg.work_dir).absolute()
    out_dir = hook.get('out_dir')
    return work_dir if out_dir is None or Path(out_dir) == work_dir else Path(out_dir) / work_dir.name


def is_whole(path: Path) -> bool:
    """Whether a checkpoint exists and is complete and undamaged."""
    if not path.is_file():
        return False
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                return archive.testzip() is None
        read_checkpoint(path)  # of another format, without checksums
    except Exception:  # zipfile and zlib raise all kinds of errors on damaged files
        return False
    return True


def lacking(checkpoint: dict[str, Any], cfg: Config) -> list[str]:
    """The parts that a checkpoint lacks for exact resuming.

    Args:
        checkpoint: the content of the checkpoint.
        cfg: the config of the resumed run.
    """
    parts = {'meta': 'count of iterations', 'message_hub': 'log', 'optimizer': 'optimizer'}
    if cfg.get('param_scheduler'):
        parts['param_schedulers'] = 'schedule'
    return [name for key, name in parts.items() if key not in checkpoint]


def require_resumable(path: str | Path, cfg: Config) -> None:
    """Checks that a checkpoint contains all that exact resuming needs.

    Raises:
        CheckpointError: the checkpoint lacks a part that resuming needs, or cannot be read.
    """
    checkpoint = read_checkpoint(path)
    missing = lacking(checkpoint, cfg)
    if missing:
        raise CheckpointError(
            f'{path} holds no {" and no ".join(missing)}, so training cannot continue from it '
            '(best_*.pth and exported files contain only weights, and so do checkpoints saved with '
            'save_optimizer=False). Resume an iter_N.pth; or, to start a new training from these weights, '
            f'replace --resume by --cfg-options load_from={path}'
        )
    if 'ema_state_dict' in checkpoint and not _may_average(cfg):
        raise CheckpointError(
            f'{path} was saved with an EMAHook and holds the averaged weights, from which training cannot '
            'continue exactly, and the config has no EMAHook: add it to custom_hooks; or, to start a new '
            f'training from the average, replace --resume by --cfg-options load_from={path}'
        )


def _may_average(cfg: Config) -> bool:
    """Whether a hook of the config averages the weights, or is the user's own and may do so."""
    hooks = [*(cfg.get('custom_hooks') or ()), *(cfg.get('default_hooks') or {}).values()]
    kinds = [
        class_of(hook.get('type'), HOOKS, cfg) if isinstance(hook, dict) else type(hook)
        for hook in hooks
        if hook is not None
    ]
    return any(not is_stock(kind) or issubclass(kind, EMAHook) for kind in kinds)


def _problem(note: Path, text: str | None, noted: Path | None) -> str:
    """Why the checkpoint that `last_checkpoint` names cannot be used."""
    if noted is None:
        return f'{note} is {"not there" if text is None else "empty"}'
    if noted.is_file():
        return f'{noted}, which {note} names, is damaged'
    elsewhere = f' ({text} is of another folder)' if Path(text or '').is_file() else ''
    return f'{note} names {noted}, which is not there{elsewhere}'


def _number(path: Path) -> tuple[int, float]:
    """The iteration or epoch in a checkpoint's name, and when it was written."""
    found = re.search(r'(\d+)$', path.stem)
    return int(found[1]) if found else -1, path.stat().st_mtime
