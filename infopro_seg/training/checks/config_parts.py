"""Finds keys that mmengine ignores inside the known parts of a config."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import (
    FUNCTIONS,
    METRICS,
    MODEL_WRAPPERS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIMIZERS,
    Registry,
)
from mmseg.evaluation import IoUMetric

from infopro_seg.errors import ConfigError
from infopro_seg.spelling import arguments_of, did_you_mean
from infopro_seg.training.building import unregistered

KEYS_OF_PARTS = {  # dicts of which mmengine reads these keys and ignores all others
    'env_cfg': ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit', 'tf32'),
    'auto_scale_lr': ('enable', 'base_batch_size'),
}
DICTS = tuple(f'{split}_{part}' for split in ('train', 'val', 'test') for part in ('dataloader', 'cfg'))
DICTS += ('model', 'optim_wrapper', 'default_hooks', 'env_cfg', 'auto_scale_lr', 'randomness')
DEFAULT_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
PARAMWISE = (
    'base_lr',
    'custom_keys',
    'bias_lr_mult',
    'bias_decay_mult',
    'norm_decay_mult',
    'flat_decay_mult',
    'dwconv_decay_mult',
    'dcn_offset_lr_mult',
    'bypass_duplicate',
)
CUSTOM_FACTORS = ('lr_mult', 'decay_mult')

NUMERAL = re.compile(r'\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*')


def require_parts(config: Config) -> None:
    """Rejects misspelt keys inside known parts, and parts that lack their counterpart.

    Raises:
        ConfigError: a key is misspelt, or a part lacks its counterpart.
    """
    for name in DICTS:
        if config.get(name) is not None and not isinstance(config[name], dict):
            raise ConfigError(
                f'{name}={short(config[name])} of the config is not a dict; write {name}=dict(...)'
            )
    for name in ('env_cfg', 'randomness'):
        if name in config and config[name] is None:
            raise ConfigError(f'{name}=None of the config; leave it out, or write {name}=dict(...)')
    if not config.get('model'):
        raise ConfigError('the config has no model; write model=dict(type=...), or a _base_ that has one')
    for part, keys in KEYS_OF_PARTS.items():
        require_known(config.get(part), keys, part)
    _require_hooks(config)
    _require_counterparts(config)
    _require_loaders(config)
    _require_registered(config)
    _require_metric_arguments(config)
    _require_paramwise(config)
    _require_no_numerals(config)


def class_of(kind: Any, registry: Registry, config: Config) -> Any:
    """The class that a `type` names in the scope of a config; None if it is not registered."""
    if not isinstance(kind, str):
        return kind
    return registry.children.get(config.get('default_scope', 'mmseg'), registry).get(kind)


def short(value: Any) -> str:
    """A value as a config writes it, shortened if it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def _inside(part: Any, key: str) -> Any:
    return part.get(key) if isinstance(part, dict) else None


def require_known(part: Any, keys: Iterable[str], name: str) -> None:
    """Rejects misspelt keys of a part of a config, and warns of others that are not in a list.

    Raises:
        ConfigError: a key is not in the list, but resembles one that is.
    """
    if not isinstance(part, dict):
        return
    for key in [key for key in part if key not in keys]:
        hint = did_you_mean(key, keys)
        text = f'{name}.{key}={short(part[key])} of the config is not read'
        if hint:
            raise ConfigError(f'{text}{hint}')
        MMLogger.get_current_instance().warning(f'{text}; there are {", ".join(keys)}')


def _require_hooks(config: Config) -> None:
    custom = config.get('custom_hooks')
    if custom is not None and not isinstance(custom, (list, tuple)):
        raise ConfigError(
            f'custom_hooks={short(custom)} of the config is not a list; write custom_hooks=[dict(type=...)]'
        )
    for name, hook in (config.get('default_hooks') or {}).items():
        if name in DEFAULT_HOOKS:
            continue
        hint = did_you_mean(name, DEFAULT_HOOKS)
        if hint or hook is None:
            raise ConfigError(
                f'default_hooks.{name}={short(hook)} of the config: there is no such default hook{hint}; '
                f'there are {", ".join(DEFAULT_HOOKS)}; put other hooks in custom_hooks'
            )


def _require_counterparts(config: Config) -> None:
    groups = [('train_dataloader', 'train_cfg', 'optim_wrapper')]
    groups += [(f'{split}_dataloader', f'{split}_cfg', f'{split}_evaluator') for split in ('val', 'test')]
    for group in groups:
        missing = [name for name in group if config.get(name) is None]
        if missing and len(missing) < len(group):
            raise ConfigError(
                f'{", ".join(missing)} of the config is missing or None, but {", ".join(group)} go together: '
                'write all of them, or set all to None'
            )


def _require_loaders(config: Config) -> None:
    samplers = {'train': 'Infinite', 'val': 'Default', 'test': 'Default'}
    for split, sampler in samplers.items():
        loader = config.get(f'{split}_dataloader')
        if isinstance(loader, dict) and (
            'sampler' not in loader or (split == 'train' and loader['sampler'] is None)
        ):
            raise ConfigError(
                f'{split}_dataloader of the config has no sampler; write '
                f"sampler=dict(type='{sampler}Sampler', shuffle={split == 'train'})"
            )
        for name in ('batch_size', 'prefetch_factor') if isinstance(loader, dict) else ():
            value = loader.get(name, 1)
            optional = name == 'prefetch_factor' or 'batch_sampler' in loader
            if not (isinstance(value, int) and value >= 1) and not (value is None and optional):
                raise ConfigError(
                    f'{name}={value!r} in {split}_dataloader; write a whole number of 1 or more'
                )
        if isinstance(loader, dict) and loader.get('dataset') is None:
            raise ConfigError(
                f'{split}_dataloader of the config has no dataset; write dataset=dict(type=...)'
            )


def _require_registered(config: Config) -> None:
    """Checks types that mmengine looks up without saying which one it cannot find."""
    wrapper = config.get('optim_wrapper')
    named = [('optim_wrapper.optimizer', _inside(wrapper, 'optimizer'), OPTIMIZERS)]
    named.append(('model_wrapper_cfg', config.get('model_wrapper_cfg'), MODEL_WRAPPERS))
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        for name in ('collate_fn', 'worker_init_fn'):
            named.append((f'{loader}.{name}', _inside(config.get(loader), name), FUNCTIONS))
    for place, part, registry in named:
        kind = part.get('type') if isinstance(part, dict) else None
        if isinstance(kind, str) and class_of(kind, registry, config) is None:
            raise ConfigError(f'cannot build {place} of the config: {unregistered(kind, registry)}')


def _require_metric_arguments(config: Config) -> None:
    """Checks the arguments of mmseg's `IoUMetric`, which ignores unknown ones and misses one at the end."""
    for name in ('val_evaluator', 'test_evaluator'):
        evaluator = config.get(name) or ()
        metrics = evaluator if isinstance(evaluator, (list, tuple)) else [evaluator]
        for metric in metrics:
            kind = metric.get('type') if isinstance(metric, dict) else None
            kind = class_of(kind, METRICS, config)
            if inspect.isclass(kind) and issubclass(kind, IoUMetric):
                require_known(metric, ['type', '_scope_', *arguments_of(kind)], name)
                if metric.get('format_only') and not metric.get('output_dir'):
                    raise ConfigError(
                        f'format_only=True of {name} writes label images, but it has no output_dir; name a '
                        'folder, or leave format_only out'
                    )


def _require_paramwise(config: Config) -> None:
    """Checks `paramwise_cfg`, in which mmengine's constructor ignores unknown keys."""
    wrapper = config.get('optim_wrapper')
    if not isinstance(wrapper, dict) or not isinstance(wrapper.get('paramwise_cfg'), dict):
        return
    kind = wrapper.get('constructor') or DefaultOptimWrapperConstructor
    kind = class_of(kind, OPTIM_WRAPPER_CONSTRUCTORS, config)
    if kind is DefaultOptimWrapperConstructor:
        name = 'optim_wrapper.paramwise_cfg'
        require_known(wrapper['paramwise_cfg'], PARAMWISE, name)
        keys = wrapper['paramwise_cfg'].get('custom_keys')
        for key, factors in keys.items() if isinstance(keys, dict) else ():
            require_known(factors, CUSTOM_FACTORS, f'{name}.custom_keys[{key!r}]')


def _require_no_numerals(config: Config) -> None:
    """Checks that rates are no texts: YAML reads 1e-3 as one, and torch's error names no key."""
    for name in ('optim_wrapper', 'param_scheduler'):
        for place, key, value in _texts(name, config.get(name)):
            if NUMERAL.fullmatch(value):
                raise ConfigError(
                    f'{key}={value!r} in {place} of the config is a string; write a number without quotes '
                    '(in YAML with a dot, 1.0e-3)'
                )


def _texts(place: str, part: Any) -> Iterator[tuple[str, str, str]]:
    """The texts inside a part of a config: where, under which key, and which."""
    if isinstance(part, (list, tuple)):
        for index, item in enumerate(part):
            yield from _texts(f'{place}[{index}]', item)
    elif isinstance(part, dict):
        for key, value in part.items():
            if isinstance(value, str):
                yield place, key, value
            else:
                yield from _texts(f'{place}.{key}', value)
