"""Gradient clipping by the norm of each local module: `clip_grad=dict(max_norm=10.0, per_module=True)`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from inspect import isclass
from typing import Any

from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS

from infopro_seg.errors import ConfigError
from infopro_seg.models.asynchronous.turns import parameters_by_module
from infopro_seg.models.backbone import InfoProBackbone

OPTION = 'per_module'


class ModuleClipping(OptimWrapper):
    """An `OptimWrapper` that clips the gradients of each local module separately.

    A module then trains as it would in its own process. :func:`clipping_config` makes mmengine build it in
    place of the wrapper that a config names.
    """

    _parts: Sequence[Collection[int]] = ()  # the ids of the parameters of each local module

    def know_modules(self, model: Any) -> None:
        """Learns which parameters belong to which module; must be called before the first step.

        Args:
            model: the `InfoProEncoderDecoder` whose parameters it trains.

        Raises:
            ConfigError: the model has no local modules.
        """
        if not isinstance(getattr(model, 'backbone', None), InfoProBackbone):
            raise ConfigError(
                f'clip_grad of optim_wrapper has {OPTION}=True, but {type(model).__name__} has no local '
                f'modules; leave out {OPTION}, or use an InfoProEncoderDecoder'
            )
        self._parts = parameters_by_module(model)

    def _clip_grad(self) -> None:
        groups = self.optimizer.param_groups
        parameters = [
            p for group in groups for p in group['params'] if p.requires_grad and p.grad is not None
        ]
        for index, part in enumerate(self._parts):
            own = [parameter for parameter in parameters if id(parameter) in part]
            norm = self.clip_func(own, **self.clip_grad_kwargs) if own else None
            if norm is not None:  # clipping by value returns None
                self.message_hub.update_scalar(f'train/{self.grad_name}_{index}', float(norm))


def clipping_config(config: Any) -> Any:
    """The config of an optimizer wrapper; with `per_module=True` it clips each local module separately.

    Args:
        config: the `optim_wrapper` of a config, whose `clip_grad` may have the option.
    """
    clip = config.get('clip_grad') if isinstance(config, dict) else None
    if not isinstance(clip, dict) or OPTION not in clip:
        return config
    config = {**config, 'clip_grad': {name: value for name, value in clip.items() if name != OPTION}}
    if not clip[OPTION]:
        return config
    own = config.get('type', 'OptimWrapper')
    if isinstance(own, str):
        with OPTIM_WRAPPERS.switch_scope_and_registry(None) as registry:
            own = registry.get(own)
    if not isclass(own):
        return config  # mmengine says what is wrong with it
    return {**config, 'type': type(own.__name__, (ModuleClipping, own), {})}  # named in messages as before
