"""Finds the keys of a config, and the overrides, that nothing reads."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from infopro_seg.config_files import load_config
from infopro_seg.errors import ConfigError
from infopro_seg.spelling import nearest
from infopro_seg.training.checks.config_parts import require_parts, short

OF_MMENGINE = (  # keys of a config that its runner reads besides its own arguments
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
)
OF_OURS = ('model_parallel', 'stages', 'weights_before', 'fit', 'data_howto', 'tta_model', 'tta_pipeline')
KNOWN = {*inspect.signature(Runner.__init__).parameters, *OF_MMENGINE, *OF_OURS} - {'self', 'cfg'}
PLAIN = {  # known keys whose value is neither a dict nor a list
    'compile',
    'data_howto',
    'default_scope',
    'experiment_name',
    'find_unused_parameters',
    'launcher',
    'load_from',
    'log_level',
    'resume',
    'runner_type',
    'sync_bn',
    'weights_before',
    'work_dir',
}
CUSTOMARY = {'train_pipeline', 'val_pipeline', 'test_pipeline', 'dataset_type', 'data_root'}
OF_OLD = {  # keys of mmseg 0.x, which mmengine does not read
    'optimizer_config': 'optim_wrapper',
    'lr_config': 'param_scheduler',
    'runner': 'train_cfg',
    'checkpoint_config': 'default_hooks.checkpoint',
    'log_config': 'default_hooks.logger',
    'evaluation': 'train_cfg.val_interval',
    'resume_from': 'resume and load_from',
    'dist_params': 'env_cfg.dist_cfg',
    'cudnn_benchmark': 'env_cfg.cudnn_benchmark',
}


def require_keys(config: Config, options: Mapping[str, Any] | None = None) -> None:
    """Rejects misspelt keys of a config, and warns about obsolete ones.

    A config may define its own variables at top level. A key counts as a variable if some part of the config
    contains its value, or if its name is not similar to any known key.

    Args:
        config: a whole config.
        options: the overrides that it was read with, `{'a.b': value}`.

    Raises:
        ConfigError: a key is misspelt, an override changes a variable that has already been used, or one of
            several parts that belong together is missing.
    """
    require_options(config, options or {})
    for key in sorted(PLAIN - {'compile'}):
        if _is_container(config.get(key)):
            raise ConfigError(
                f'{key}={short(config[key])} of the config is a {type(config[key]).__name__}; write a single '
                f'value (in --cfg-options, a text with commas needs quotes: "{key}=\'a,b\'")'
            )
    logger = MMLogger.get_current_instance()
    for key in [key for key in config if key not in KNOWN | CUSTOMARY]:
        if key in OF_OLD:
            logger.warning(f'{key} of the config is not read; write {OF_OLD[key]} instead')
            continue
        meant = nearest(key, KNOWN, cutoff=0.8)
        if meant is None or _holds(config.get(meant), config[key]) or _is_used(key, config):
            continue
        found = f'{key}={short(config[key])} of the config is not read; did you mean {meant}?'
        if _is_container(config[key]) == (meant not in PLAIN):
            raise ConfigError(f'{found} A variable of your own needs another name')
        logger.warning(found)
    if config.get('runner_type') not in (None, 'Runner'):
        raise ConfigError(
            f"runner_type={config.runner_type!r} of the config: only mmengine's Runner trains here; remove "
            'it, and put what it does into a hook or a loop'
        )
    require_parts(config)


def require_options_of(path: str | Path, options: Mapping[str, Any] | None) -> None:
    """Checks the overrides of a config file as `require_options` does."""
    if options:
        require_options(load_config(path, options), options)


def require_options(config: Config, options: Mapping[str, Any]) -> None:
    """Rejects overrides that change nothing; warns about those that only the user's own code can read.

    Args:
        config: a whole config, with the overrides.
        options: the overrides, `{'a.b': value}`.

    Raises:
        ConfigError: a key is misspelt, or an override changes a variable that has already been used.
    """
    for option, value in options.items():
        key = option.partition('.')[0]
        if key in KNOWN:
            continue
        meant = nearest(key, KNOWN, cutoff=0.8) if key not in CUSTOMARY else None
        places = [path for path in _paths(config) if path.rpartition('.')[2] == option.rpartition('.')[2]]
        if meant is not None:
            raise ConfigError(f'--cfg-options {option}={value}: {key} is not read; did you mean {meant}?')
        if places:
            raise ConfigError(
                f'--cfg-options {option}={value} sets a variable that the config has already used when '
                f'options are applied; set {" or ".join(places[:4])} instead'
            )
        MMLogger.get_current_instance().warning(
            f'--cfg-options {option}={value} sets a key that only your own code can read'
        )


def _paths(config: Config) -> Iterator[str]:
    """Every key below the parts of a config that are read, as `a.b.0.c`."""
    pending: list[tuple[str, Any]] = [(key, config[key]) for key in config if key in KNOWN]
    while pending:
        path, node = pending.pop(0)
        children = node.items() if isinstance(node, dict) else enumerate(node) if _is_container(node) else ()
        for name, value in children:
            yield f'{path}.{name}'
            pending.append((f'{path}.{name}', value))


def _is_used(key: str, config: Config) -> bool:
    """Whether the parts that are read contain the value of a variable, if it is a dict or a list."""
    value = config[key]
    pending = [config[known] for known in config if known in KNOWN] if _is_container(value) else []
    while pending:
        node = pending.pop()
        if type(node) is type(value) and node == value:
            return True
        children = node.values() if isinstance(node, dict) else node if _is_container(node) else ()
        pending.extend(children)
    return False


def _holds(part: Any, value: Any) -> bool:
    """Whether a part contains all of a variable's value, and perhaps more, as after a merge with a _base_."""
    if isinstance(value, dict):
        return isinstance(part, dict) and all(k in part and _holds(part[k], v) for k, v in value.items())
    return bool(part == value)


def _is_container(value: Any) -> bool:
    return isinstance(value, (dict, list, tuple))
