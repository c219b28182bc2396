"""What the command-line tools share: configs, errors without tracebacks, a quiet console."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from mmengine.config import Config

from infopro_seg.errors import ConfigError, UserError

FAILED = 2  # exit status after an error that the user can mend
INTERRUPTED = 130  # exit status after Ctrl-C


def run(main: Callable[[], int | None]) -> NoReturn:
    """Runs a tool's main function and exits; a `UserError` is printed as one message."""
    try:
        status = main() or 0
    except UserError as error:
        sys.stderr.write(f'error: {message_of(error)}\n')
        status = FAILED
    except BaseException as error:
        if not interrupted(error):
            raise
        sys.stderr.write('interrupted\n')
        status = INTERRUPTED
    sys.exit(status)


def interrupted(error: BaseException | None) -> bool:
    """Whether an error is Ctrl-C, or what a library made of it."""
    return error is not None and (
        isinstance(error, KeyboardInterrupt) or interrupted(error.__cause__) or interrupted(error.__context__)
    )


def message_of(error: BaseException) -> str:
    """An error's own message, also where a data-loading worker has wrapped it in a traceback."""
    text = str(error)
    if 'Original Traceback' in text:
        text = text.rsplit(f'{type(error).__name__}: ', 1)[-1]
    return text.strip()


def load_config(path: str | Path, options: Mapping[str, Any] | None = None) -> Config:
    """Reads a config file.

    Args:
        path: a `.py` config.
        options: overrides, `{'a.b': value}`.

    Raises:
        ConfigError: there is no such file, or it cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path('configs')
        nearby = sorted(str(p) for p in folder.glob('*.py'))
        hint = f'; there are {", ".join(nearby)}' if nearby else ''
        raise ConfigError(f'no config {path}{hint}')
    try:
        config = Config.fromfile(str(path))
    except Exception as error:  # a config is a program
        raise _unreadable(path, error) from error
    if config._imported_names:  # a pure-Python config
        from infopro_seg.named_types import with_named_types  # slow to import

        config = with_named_types(config)
    try:
        config.merge_from_dict(dict(options or {}))
    except Exception as error:  # mmengine raises whatever the values do
        given = ' '.join(f'{key}={value}' for key, value in (options or {}).items())
        raise ConfigError(
            f'--cfg-options {given} do not fit the config {path}: {" ".join(str(error).split())}; write the '
            'keys as they stand in the config, list items by their number, e.g. param_scheduler.0.end=20000'
        ) from error
    return config


def _unreadable(path: Path, error: Exception) -> ConfigError:
    """The error for a config that cannot be read; a fault in a module that it imports goes on as it is."""
    from infopro_seg.training.building import cause_of, own_place  # slow to import

    if isinstance(error, ImportError) and error.__cause__ is not None:  # mmengine's, about custom_imports
        root: BaseException = error
        while root.__cause__ or root.__context__:
            root = root.__cause__ or root.__context__ or root
        if own_place(root) is not None:
            raise root from None
        return ConfigError(
            f'cannot read the config {path}: custom_imports: {cause_of(root)}; modules are looked for in the '
            'folders of PYTHONPATH and among the installed packages'
        )
    names = {frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)}
    place = own_place(error)
    if place is not None and 'import_modules_from_strings' in names:
        raise error
    hint = f' ({place})' if place is not None else ''
    if isinstance(error, FileNotFoundError):
        hint = '; a _base_ is looked for from the folder of the config that names it'
    return ConfigError(f'cannot read the config {path}: {cause_of(error)}{hint}')


def work_dir_of(config: Config, given: str | None) -> str:
    """Where a run writes: as given, else as the config says, else `work_dirs/<name of the config>`."""
    return str(given or config.get('work_dir') or Path('work_dirs') / Path(config.filename).stem)


class WithoutDumps(logging.Filter):
    """Keeps mmengine's dumps of environment, config and hooks out of the console; the log file has them."""

    STARTS = (
        '\n---',  # the environment
        'Config:',
        'Hooks will be executed',
        'Distributed training is not used',
        'Advance dataloader',  # it advances the sampler only; nothing is loaded
        'The prefix is not set',
        '"FileClient" will be',
        '"HardDiskBackend" is',
    )

    PARTS = (
        'is skipped since its requires_grad=False',  # each of the parameters that do not train
        ' - torch.Size(',  # how each of them was initialised
    )

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is for the console."""
        message = record.getMessage()
        return not message.startswith(self.STARTS) and not any(part in message for part in self.PARTS)


def quiet_console(logger: logging.Logger) -> None:
    """Filters what a logger prints on the console, not what it writes to files."""
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
            handler.addFilter(WithoutDumps())
