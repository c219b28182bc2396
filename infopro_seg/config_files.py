"""Config files: found by path or by name, read with their overrides."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

from infopro_seg.errors import ConfigError
from infopro_seg.faults import cause_of, own_place
from infopro_seg.spelling import alike
from infopro_seg.yapf_import import import_yapf

# so that `_base_ = 'mmseg::...'` finds the fork, whose package has another name
MODULE2PACKAGE['mmseg'] = 'mmseg'


def find_config(name: str | Path) -> Path:
    """The file of a config: a path, or the name of a config that comes with this package.

    Args:
        name: a path, or e.g. `deeplabv3_infopro_cityscapes`, with or without `configs/` and `.py`.

    Raises:
        ConfigError: there is no such file.
    """
    path = Path(name)
    if path.is_file():
        return path
    if not path.is_absolute():
        shipped = shipped_configs() / path.relative_to('configs' if path.parts[:1] == ('configs',) else '')
        for candidate in (shipped, shipped.with_name(f'{shipped.name}.py')):
            if candidate.is_file():
                return candidate
    folder = next(one for one in (path, path.parent, shipped_configs()) if one != Path() and one.is_dir())
    there = {file.stem: str(file) for file in sorted(folder.glob('*.py'))}
    near = alike(path.stem, there) if folder != path else []
    if folder != shipped_configs():  # whose names are enough
        near = [there[stem] for stem in near]
    if near:
        raise ConfigError(f'no config {path}; did you mean {" or ".join(near)}?')
    few = ', '.join(there.values()) if len(there) < 6 else f'{len(there)} in {folder}'
    what = f'{path} is a folder; name a config in it' if path.is_dir() else f'no config {path}'
    raise ConfigError(what + (f'; there are {few}' if there else ''))


def shipped_configs() -> Path:
    """The folder of the configs that come with this package: that of the clone, or the installed one."""
    package = Path(__file__).parent
    clone = package.parent / 'configs'
    return clone if (clone / '_base_').is_dir() else package / 'configs'


def load_config(path: str | Path, options: Mapping[str, Any] | None = None) -> Config:
    """Reads a config file.

    Args:
        path: a `.py` config, or the name of a shipped one.
        options: overrides, `{'a.b': value}`.

    Raises:
        ConfigError: there is no such file, or it cannot be read.
    """
    import_yapf()  # before mmengine does
    path = find_config(path)
    if path.suffix in ('.pth', '.pt', '.ckpt', '.safetensors', '.onnx'):
        raise ConfigError(
            f'{path} is given as the config, but is a checkpoint or graph; name the config first'
        )
    try:
        config = Config.fromfile(str(path))
    except Exception as error:  # a config is a program and may raise anything
        raise _unreadable(path, error) from error
    if config._imported_names:  # a pure-Python config
        from infopro_seg.named_types import with_named_types  # slow to import

        config = with_named_types(config)
    try:
        config.merge_from_dict(dict(options or {}))
    except Exception as error:  # the values may raise anything
        given = ' '.join(f'{key}={value}' for key, value in (options or {}).items())
        raise ConfigError(
            f'--cfg-options {given} do not fit the config {path}: {" ".join(str(error).split())}; write the '
            'keys as in the config, and list items by their number, e.g. param_scheduler.0.end=20000'
        ) from error
    for key in list(config):
        if isinstance(config[key], type):  # imported, such as Path
            config.pop(key)
        else:
            config[key] = _plain(config[key])
    return config


def _plain(value: Any) -> Any:
    """A value of a config in a form that can be dumped: paths as texts, NumPy's values as Python's."""
    if isinstance(value, dict):
        for key in value:
            value[key] = _plain(value[key])
    elif type(value) in (list, tuple):
        return type(value)(map(_plain, value))
    elif isinstance(value, os.PathLike):
        return os.fspath(value)
    elif isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    return value


def _unreadable(path: Path, error: Exception) -> ConfigError:
    """The error for a config that cannot be read; a fault in an imported module is passed on unchanged."""
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
        hint = '; a _base_ is relative to the folder of the config that names it'
    elif isinstance(error, SyntaxError) and 'U+FEFF' in str(error):
        hint = ' is its byte-order mark; save it as UTF-8 without one'
    elif isinstance(error, UnicodeDecodeError):
        hint = '; save it as UTF-8'
    base = _file_of(error)
    if base is not None and base.resolve() != path.resolve():
        return ConfigError(f'cannot read {base}, a _base_ of the config {path}: {cause_of(error)}{hint}')
    return ConfigError(f'cannot read the config {path}: {cause_of(error)}{hint}')


def _file_of(error: Exception) -> Path | None:
    """The file that mmengine was reading when it found a wrong syntax or encoding."""
    if not isinstance(error, (SyntaxError, UnicodeDecodeError)):
        return None
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    read = [
        frame.f_locals.get('filename') for frame in frames if '/mmengine/config/' in frame.f_code.co_filename
    ]
    return next((Path(name) for name in reversed(read) if isinstance(name, str)), None)


def work_dir_of(config: Config, given: str | None) -> str:
    """The work dir of a run: as given, else from the config, else `work_dirs/<name of the config>`.

    Raises:
        ConfigError: its name cannot be written in UTF-8.
    """
    folder = given or config.get('work_dir') or Path('work_dirs') / Path(config.filename).stem
    path = os.path.expanduser(folder)  # noqa: PTH111
    try:
        path.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f'the name of the work dir {path!a} is not in UTF-8, as the logs need it; name another, or set '
            'the locale of the shell (export LC_ALL=C.UTF-8)'
        ) from None
    return path
