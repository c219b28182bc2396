"""Continues a run with another recipe: parts that both recipes have go on, others start afresh."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper, build_optim_wrapper
from torch import Tensor

from infopro_seg.checkpoints import config_of
from infopro_seg.hooks.pending_gradients import GRADIENTS
from infopro_seg.memory.tracing.fake_model import build_model, fake_tensors
from infopro_seg.memory.tracing.training_setup import training_setup
from infopro_seg.models.state_dict import TRAINING_ONLY

_AT_CUT = re.compile(rf'(?P<path>backbone\.(?:{"|".join(TRAINING_ONLY)}))(?P<index>\d+)(?P<rest>\..*)')
AVERAGED = 'module.'  # before the names of the weights that EMAHook holds


class RecipeChangeHook(Hook):
    """Adapts a resumed checkpoint to the cuts of a recipe that `--fit` has chosen since.

    Encoder, neck and heads keep weights, optimizer state and averages (EMAHook). So do the local head and the
    momentum block of a cut that both recipes have. Those of new cuts start afresh, with initial weights and
    without optimizer state. Every runner of this package has this hook. It does nothing if the cuts are the
    same, or if the config has no `fit`.
    """

    priority = 'VERY_HIGH'  # before the hooks that check or take over what is in a checkpoint

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Called by the runner between reading a checkpoint and loading it."""
        if not runner._resume or not runner.cfg.get('fit'):
            return
        trained = config_of(checkpoint, 'the checkpoint to resume')
        before, after = _cuts(trained), _cuts(runner.cfg)
        if before == after:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        moved = {old: after.index(cut) for old, cut in enumerate(before) if cut in after}
        optimizer = checkpoint.get('optimizer')
        if optimizer is not None:
            names = _names_of(trained)
            checkpoint['optimizer'] = _optimizer(optimizer, names, runner.optim_wrapper, model, moved)
            if len(names) > 1:
                checkpoint.pop('param_schedulers', None)  # of other groups; the loader replays the schedules
        fresh = model.state_dict()
        checkpoint['state_dict'] = _weights(checkpoint['state_dict'], fresh, moved)
        averaged = checkpoint.get('ema_state_dict')
        if averaged is not None:
            counts = {key: value for key, value in averaged.items() if not key.startswith(AVERAGED)}
            own = {key.removeprefix(AVERAGED): value for key, value in averaged.items() if key not in counts}
            renamed = _weights(own, fresh, moved)
            checkpoint['ema_state_dict'] = counts | {AVERAGED + key: v for key, v in renamed.items()}
        if GRADIENTS in checkpoint:
            checkpoint[GRADIENTS] = _renamed(checkpoint[GRADIENTS], moved)
        runner.logger.warning(_described(before, after))


def _cuts(cfg: Config) -> tuple[str, ...]:
    return tuple(cfg.model.backbone.get('cuts') or ())


def _renamed(values: Mapping[str, Any], moved: Mapping[int, int]) -> dict[str, Any]:
    """Values by name, renumbered to the new cuts; values of dropped cuts are left out."""
    found = {}
    for name, value in values.items():
        match = _AT_CUT.fullmatch(name)
        if match is None:
            found[name] = value
        elif int(match['index']) in moved:
            found[f'{match["path"]}{moved[int(match["index"])]}{match["rest"]}'] = value
    return found


def _weights(
    given: Mapping[str, Tensor], fresh: Mapping[str, Tensor], moved: Mapping[int, int]
) -> dict[str, Tensor]:
    """The checkpoint's weights, with initial ones for new cuts and for changed sizes."""
    known = _renamed(given, moved)
    found = dict(known)
    for name, value in fresh.items():
        if _AT_CUT.fullmatch(name) and (name not in known or known[name].shape != value.shape):
            found[name] = value.detach().clone()
    return {name: value for name, value in found.items() if name in fresh or not _AT_CUT.fullmatch(name)}


def _names_of(trained: Config) -> list[list[str]]:
    """The names of the parameters in each group of the optimizer that a config trains with."""
    setup = training_setup(trained)
    wrapper = {**trained.optim_wrapper, 'type': 'OptimWrapper'}  # mixed precision makes no other groups
    kept = ('type', 'optimizer', 'paramwise_cfg', 'constructor')
    with fake_tensors():
        model = build_model(trained, setup.crop)
        optimizer = build_optim_wrapper(model, {key: wrapper[key] for key in kept if key in wrapper})
    return _grouped_names(model, optimizer)


def _grouped_names(model: Any, optim_wrapper: OptimWrapper) -> list[list[str]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [[names[id(p)] for p in group['params']] for group in optim_wrapper.optimizer.param_groups]


def _optimizer(
    given: Mapping[str, Any],
    names: list[list[str]],
    optim_wrapper: OptimWrapper,
    model: Any,
    moved: Mapping[int, int],
) -> dict[str, Any]:
    """The state of the checkpoint's optimizer, for the parameters of another one.

    Args:
        given: its state dict.
        names: names of the parameters in each of its groups.
        optim_wrapper: the new optimizer, before its first step.
        model: the model that it trains.
        moved: the new index of each cut, by its old index.
    """
    numbers = [number for group in given['param_groups'] for number in group['params']]
    flat = [name for group in names for name in group]
    by_name = {
        name: given['state'][number]
        for number, name in zip(numbers, flat, strict=True)
        if number in given['state']
    }
    states = _renamed(by_name, moved)
    own = optim_wrapper.state_dict()
    parameters = dict(model.named_parameters())
    grouped = _grouped_names(model, optim_wrapper)
    state = {
        number: states[name]
        for group, members in zip(own['param_groups'], grouped, strict=True)
        for number, name in zip(group['params'], members, strict=True)
        if name in states and _same_shape(states[name], parameters[name])
    }
    groups = own['param_groups']
    if len(groups) == len(given['param_groups']) == 1:
        groups = [{**given['param_groups'][0], 'params': groups[0]['params']}]
    return {**given, 'state': state, 'param_groups': groups}


def _same_shape(state: Mapping[str, Any], parameter: Tensor) -> bool:
    return all(
        value.shape == parameter.shape
        for value in state.values()
        if isinstance(value, Tensor) and value.dim() > 0
    )


def _described(before: tuple[str, ...], after: tuple[str, ...]) -> str:
    """The message that says which parts go on and which start afresh."""
    kept, new = [cut for cut in after if cut in before], [cut for cut in after if cut not in before]
    gone = [cut for cut in before if cut not in after]
    parts = [
        f'the run goes on with {len(after) + 1} local modules instead of {len(before) + 1}: encoder, neck '
        'and heads keep their weights and their optimizer state'
    ]
    if kept:
        parts.append(f'so do the local heads of {", ".join(kept)}')
    if new:
        parts.append(f'the local heads of {", ".join(new)} start afresh, without optimizer state')
    if gone:
        parts.append(f'those of {", ".join(gone)} are dropped')
    return '; '.join(parts)
