"""Checks the optimizer and its wrapper before the first step."""

from __future__ import annotations

import inspect
from numbers import Real
from typing import Any

from mmengine.optim import OptimWrapperDict
from torch.optim import SparseAdam

from infopro_seg.errors import ConfigError
from infopro_seg.training.building import require_call

CUSTOMARY_KEYS = {  # in mmseg's own recipes also for networks without such parameters
    *('absolute_pos_embed', 'relative_position_bias_table', 'pos_block', 'pos_embed', 'cls_token', 'norm'),
    *('query_embed', 'query_feat', 'level_embed', 'head', 'rpe', 'ffm', 'auxiliary_head'),
}


def require_optimizer(runner: Any) -> None:
    """Checks the optimizer and its wrapper.

    Args:
        runner: a runner whose optimizer wrapper is built.

    Raises:
        ConfigError: the optimizer cannot train local modules, or an argument of its wrapper would fail later.
    """
    wrapper = runner.optim_wrapper
    if isinstance(wrapper, OptimWrapperDict):
        raise ConfigError(
            f'optim_wrapper of the config makes {len(wrapper)} optimizers ({", ".join(wrapper.keys())}), but '
            'the local modules share one; use one, with rates by part in paramwise_cfg'
        )
    count = getattr(wrapper, '_accumulative_counts', 1)
    if count % 1 != 0:
        raise ConfigError(f'accumulative_counts={count!r} in optim_wrapper; write a whole number')
    _require_steps(wrapper.optimizer)
    clip = getattr(wrapper, 'clip_grad_kwargs', None)
    if clip:
        require_call(wrapper.clip_func, clip, 'clip_grad of optim_wrapper', skipped=1)
        for name in ('max_norm', 'clip_value'):
            if name in clip and not (isinstance(clip[name], Real) and clip[name] > 0):
                raise ConfigError(
                    f'{name}={clip[name]!r} in clip_grad of optim_wrapper; write a number above 0, or leave '
                    'clip_grad out'
                )
    paramwise = (runner.cfg.get('optim_wrapper') or {}).get('paramwise_cfg') or {}
    parameters = [name for name, _ in getattr(runner.model, 'module', runner.model).named_parameters()]
    default = 'constructor' not in (runner.cfg.get('optim_wrapper') or {})
    for key in (paramwise.get('custom_keys') or ()) if default else ():
        if key not in CUSTOMARY_KEYS and not any(key in name for name in parameters):
            runner.logger.warning(
                f'{key!r} in custom_keys of optim_wrapper.paramwise_cfg matches no parameter name (the '
                f'first are {", ".join(parameters[:2])})'
            )


def _require_steps(optimizer: Any) -> None:
    """Checks that an optimizer can step on dense gradients that are there, as LBFGS cannot."""
    closure = inspect.signature(type(optimizer).step).parameters.get('closure')
    if isinstance(optimizer, SparseAdam):
        raise ConfigError('SparseAdam of optim_wrapper takes only sparse gradients; write Adam')
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise ConfigError(
            f'{type(optimizer).__name__} of optim_wrapper computes the losses of each step several times, '
            'which mmengine does not do; write another optimizer, e.g. AdamW'
        )
