"""Gradient clipping by the norm of each local module: `clip_grad=dict(max_norm=10.0, per_module=True)`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from mmengine.optim import OptimWrapper

from infopro_seg.errors import ConfigError
from infopro_seg.models.backbone import InfoProBackbone
from infopro_seg.models.turns import parameters_by_module

OPTION = 'per_module'


class ModuleClipping(OptimWrapper):
    """An `OptimWrapper` that clips the gradients of each local module by themselves.

    A module then trains as it would in a process of its own. :func:`clip_per_module` makes it of the wrapper
    that a config has.
    """

    parts: Sequence[Collection[int]]  # the ids of the parameters of each local module

    def _clip_grad(self) -> None:
        groups = self.optimizer.param_groups
        parameters = [
            p for group in groups for p in group['params'] if p.requires_grad and p.grad is not None
        ]
        for index, part in enumerate(self.parts):
            own = [parameter for parameter in parameters if id(parameter) in part]
            norm = self.clip_func(own, **self.clip_grad_kwargs) if own else None
            if norm is not None:  # clipping by value has none
                self.message_hub.update_scalar(f'train/{self.grad_name}_{index}', float(norm))


def split_option(config: Any) -> tuple[Any, bool]:
    """The config of an optimizer wrapper without the option, and whether the option is set."""
    clip = config.get('clip_grad') if isinstance(config, dict) else None
    if not isinstance(clip, dict) or OPTION not in clip:
        return config, False
    rest = {name: value for name, value in clip.items() if name != OPTION}
    return {**config, 'clip_grad': rest}, bool(clip[OPTION])


def clip_per_module(optim_wrapper: Any, model: Any) -> None:
    """Makes an optimizer wrapper clip by local modules, in place.

    Args:
        optim_wrapper: one that clips the gradients of the whole network.
        model: an `InfoProEncoderDecoder`.

    Raises:
        ConfigError: the model has no local modules.
    """
    if not isinstance(getattr(model, 'backbone', None), InfoProBackbone):
        raise ConfigError(
            f'clip_grad of optim_wrapper has {OPTION}=True, but {type(model).__name__} has no local modules; '
            f'leave out {OPTION}, or take an InfoProEncoderDecoder'
        )
    own = type(optim_wrapper)
    optim_wrapper.parts = parameters_by_module(model)
    optim_wrapper.__class__ = type(
        own.__name__, (ModuleClipping, own), {}
    )  # messages name what the config names
