"""Makes a resumed run follow the learning rates and schedules of its config, if these have changed.

mmengine alone takes optimizer settings and schedules from the checkpoint and ignores the config.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop

from infopro_seg.errors import CheckpointError

PROGRESS = {'last_step', '_global_step', '_last_value', 'base_values', 'verbose'}
PROGRESS |= {'best', 'num_bad_epochs', 'cooldown_counter', 'rule_worse'}  # of mmengine's ReduceOnPlateauLR
PROGRESS |= {'num_bad_steps', 'last_epoch', 'mode_worse'}  # of torch's
# settings that newer versions of torch add to optimizers; they do not change what is computed
TECHNICAL = {
    'maximize',
    'foreach',
    'capturable',
    'differentiable',
    'fused',
    'decoupled_weight_decay',
    'params',
}
WATCHED = (
    *('optim_wrapper', 'param_scheduler', 'train_cfg', 'auto_scale_lr', 'train_dataloader.batch_size'),
    *('train_dataloader.dataset', 'train_dataloader.sampler', 'model'),
)
MOST_NAMED = 12  # differences
REMEDY = (
    'resume with the settings that it began with, or start from its weights only: --cfg-options load_from='
)


@dataclass(frozen=True)
class Plan:
    """The optimizer settings and schedules of a config, in their initial state.

    Args:
        groups: the settings of each group of parameters.
        schedules: the state of each schedule.
    """

    groups: list[dict[str, Any]]
    schedules: list[dict[str, Any]]

    @classmethod
    def of(cls, runner: Any) -> Plan:
        """The plan of a runner whose optimizer and schedules are built but not started."""
        groups = [{k: v for k, v in g.items() if k != 'params'} for g in runner.optim_wrapper.param_groups]
        return cls(
            copy.deepcopy(groups), [copy.deepcopy(s.state_dict()) for s in runner.param_schedulers or ()]
        )

    def follow(self, runner: Any, checkpoint: Mapping[str, Any], name: str) -> None:
        """Makes a runner that has just resumed follow this plan; logs differences from the checkpoint.

        Args:
            runner: the runner.
            checkpoint: the content of the resumed checkpoint.
            name: the file of the checkpoint.

        Raises:
            CheckpointError: the checkpoint was trained with another optimizer, or the new schedule depends on
                validations.
        """
        trained = _config_in(checkpoint)
        _require_same_optimizer(self, runner, trained, name)
        differences = list(_differences(trained, runner.cfg)) if trained is not None else []
        rates = list(self._changed_settings(runner.optim_wrapper.param_groups))
        if differences or rates:
            named = differences[:MOST_NAMED] or rates
            more = len(differences) - MOST_NAMED
            changed = '; '.join([*named, f'and {more} more'] if more > 0 else named)
            runner.logger.warning(
                f'{name} was trained with other settings; from here on, those of the config apply: {changed}'
            )
        if rates or self._has_other_schedules(checkpoint.get('param_schedulers') or []):
            self._replay(runner, name)

    def _changed_settings(self, groups: list[dict[str, Any]]) -> Iterator[str]:
        seen = set()
        for own, other in zip(self.groups, groups, strict=True):
            for key in own:
                base = f'initial_{key}'
                values = other.get(base, other.get(key)), own.get(base, own[key])
                text = f'{key} {values[0]} -> {values[1]}'
                if not key.startswith('initial_') and not _equal(*values) and text not in seen:
                    seen.add(text)
                    yield text

    def _has_other_schedules(self, states: list[dict[str, Any]]) -> bool:
        own, other = (
            [{k: v for k, v in state.items() if k not in PROGRESS} for state in each]
            for each in (self.schedules, states)
        )
        return len(own) != len(other) or any(
            a.keys() != b.keys() or not all(_equal(a[key], b[key]) for key in a)
            for a, b in zip(own, other, strict=True)
        )

    def _replay(self, runner: Any, name: str) -> None:
        """Runs the schedules from their beginning to the current iteration."""
        schedulers = list(runner.param_schedulers or ())
        for scheduler in schedulers:
            if getattr(scheduler, 'need_val_args', False):
                raise CheckpointError(
                    f'{name} was trained with other rates or schedules, and those of '
                    f'{type(scheduler).__name__} depend on the validations so far; {REMEDY}{name}'
                )
        for group, settings in zip(runner.optim_wrapper.param_groups, self.groups, strict=True):
            for key in [key for key in group if key != 'params' and key not in settings]:
                del group[key]
            group.update(copy.deepcopy(settings))
        for scheduler, state in zip(schedulers, self.schedules, strict=True):
            scheduler.load_state_dict(copy.deepcopy(state))
        loop = runner.train_loop
        epoch_length = len(loop.dataloader) if isinstance(loop, EpochBasedTrainLoop) else 0
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # torch warns because the optimizer takes no steps in between
            for iteration in range(1, runner.iter + 1):
                ends_epoch = epoch_length > 0 and iteration % epoch_length == 0
                for scheduler in schedulers:
                    if not scheduler.by_epoch or ends_epoch:
                        scheduler.step()


def _require_same_optimizer(plan: Plan, runner: Any, trained: Config | None, name: str) -> None:
    own, other = optimizer_of(runner.cfg), optimizer_of(trained)
    if other is not None and other != own:
        raise other_optimizer(name, f'it was trained with {other}, but the config has {own}')
    settings = [
        {key for key in group if key not in TECHNICAL and key != 'params' and not key.startswith('initial_')}
        for group in (plan.groups[0], runner.optim_wrapper.param_groups[0])
    ]
    if settings[0] != settings[1]:
        now, before = (', '.join(sorted(keys)) for keys in settings)
        raise other_optimizer(name, f'its optimizer has the settings {before}, but that of the config {now}')


def other_optimizer(name: str, reason: str) -> CheckpointError:
    """The error for a checkpoint whose optimizer is not that of the config."""
    return CheckpointError(
        f'{name} cannot go on with the optim_wrapper of the config: {reason}; {REMEDY}{name}'
    )


def optimizer_of(config: Any) -> str | None:
    """The class of a config's optimizer, without its module."""
    kind = _at(config, 'optim_wrapper.optimizer.type')
    return None if kind is None else _plain(kind).rpartition('.')[2]


def _config_in(checkpoint: Mapping[str, Any]) -> Config | None:
    text = checkpoint.get('meta', {}).get('cfg')
    return Config.fromstring(text, '.py') if text else None


def _differences(trained: Config, config: Config) -> Iterator[str]:
    """The differences between two configs of a run, as `key before -> now`."""
    for part in WATCHED:
        yield from _differences_in(_at(trained, part), _at(config, part), part)


def _at(config: Any, path: str) -> Any:
    for key in path.split('.'):
        config = config.get(key) if isinstance(config, dict | Config) else None
    return config


def _differences_in(before: Any, now: Any, path: str) -> Iterator[str]:
    """The differences between two values of a config; a key that is missing counts as None."""
    nodes = before, now
    if any(isinstance(node, dict) for node in nodes) and all(isinstance(n, dict | None) for n in nodes):
        before, now = before or {}, now or {}
        for key in {**before, **now}:
            yield from _differences_in(before.get(key), now.get(key), f'{path}.{key}')
    elif all(_is_list(node) for node in nodes) and len(before) == len(now):
        for index, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from _differences_in(one, other, f'{path}[{index}]')
    else:
        one, other = (_plain(node) if isinstance(node, type) else node for node in nodes)
        if not _equal(one, other):
            yield f'{path} {_shown(one)} -> {_shown(other)}'


def _is_list(node: Any) -> bool:
    """Whether a value of a config is a list of parts, such as the steps of a pipeline."""
    return isinstance(node, list | tuple) and any(isinstance(item, dict) for item in node)


def _shown(value: Any) -> str:
    return f'({len(value)} parts)' if _is_list(value) else str(value)


def _plain(value: Any) -> str:
    """The name of a type, which a config gives as a string or as a class."""
    return f'{value.__module__}.{value.__qualname__}' if isinstance(value, type) else str(value)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return list(one) == list(other)
    return bool(one == other)
