"""Finds, before the first iteration, errors that would otherwise appear hours later."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from numbers import Real
from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.logging import HistoryBuffer
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmseg.models.segmentors import BaseSegmentor, EncoderDecoder

from infopro_seg.errors import ConfigError
from infopro_seg.evaluation.metric_names import metric_names
from infopro_seg.spelling import arguments_of, did_you_mean
from infopro_seg.training.building import require_call
from infopro_seg.training.checks.awaited_metrics import require_metrics
from infopro_seg.training.checks.batch_counts import require_batches
from infopro_seg.training.checks.checkpoint_hooks import require_checkpoints
from infopro_seg.training.checks.metric_outputs import require_outputs
from infopro_seg.training.checks.optimizer_check import require_optimizer
from infopro_seg.training.checks.schedule_check import require_schedules

CHECKED = ('mmengine', 'mmseg', 'infopro_seg')  # the packages whose annotations are trusted
INFINITY = float('inf')  # which may stand for 'never', also where whole numbers are counted
SAVED = ('meta', 'state_dict', 'message_hub', 'optimizer', 'param_schedulers', 'ema_state_dict')
NUMBER = re.compile(r'^(?:typing\.)?(Optional\[)?(?P<kind>int|float)\]?(?P<none>\s*\|\s*None)?$')


def require_sound(runner: Any) -> None:
    """Checks the parts that are built: loops, hooks, optimizer, and the metrics that hooks wait for.

    Args:
        runner: a runner whose loops are built, before it trains or tests.

    Raises:
        ConfigError: a part would fail later, or never take effect.
    """
    loops = {'train_cfg': runner._train_loop, 'val_cfg': runner._val_loop, 'test_cfg': runner._test_loop}
    built = {name: loop for name, loop in loops.items() if loop is not None and not isinstance(loop, dict)}
    for name, loop in [*built.items(), *((f'hook {type(hook).__name__}', hook) for hook in runner.hooks)]:
        _require_numbers(name, loop)
    _require_log_processor(runner.log_processor)
    require_batches(runner, built)
    if 'train_cfg' in built:
        _require_train_loop(runner.train_loop, runner)
        _require_submodules(runner)
        _require_loss_weights(runner.model)
        require_optimizer(runner)
        for hook in runner.hooks:
            _require_hook(hook, runner)
        require_checkpoints(runner)
        if sum(isinstance(hook, EMAHook) for hook in runner.hooks) > 1:
            raise ConfigError(
                'custom_hooks of the config has several EMAHooks, and a checkpoint holds one average and the '
                'weights: the weights would be lost; write one EMAHook'
            )
    if 'val_cfg' in built or 'test_cfg' in built:
        _require_test_mode(runner.model)
    for split in ('val', 'test'):
        if f'{split}_cfg' in built:
            loop = built[f'{split}_cfg']
            data = getattr(getattr(loop, 'dataloader', None), 'dataset', None)  # a user's loop may have none
            require_outputs(loop.evaluator.metrics, data, split)
            names = metric_names(loop.evaluator, split, _num_classes(runner.model))
            if split == 'val' and names is not None:
                require_metrics(runner, names)


def _num_classes(model: Any) -> int | None:
    """The number of classes of a classifier's head; segmentors have a decode head."""
    head = getattr(getattr(model, 'module', model), 'head', None)
    return getattr(head, 'num_classes', None)


def _require_numbers(part: str, built: Any) -> None:
    """Checks that arguments annotated as numbers are numbers."""
    inits = [base.__dict__['__init__'] for base in type(built).__mro__[:-1] if '__init__' in vars(base)]
    signatures = [inspect.signature(init) for init in inits if _is_from(init, CHECKED)]
    for name, parameter in [item for signature in signatures for item in signature.parameters.items()]:
        annotation = parameter.annotation
        text = annotation.__name__ if inspect.isclass(annotation) else str(annotation)
        found = NUMBER.match(text)
        value = getattr(built, name, None)
        if found is None or value is None or name not in vars(built) or value in (INFINITY, -INFINITY):
            continue
        if not isinstance(value, Real) or (found['kind'] == 'int' and value % 1 != 0):
            kind = 'a whole number' if found['kind'] == 'int' else 'a number'
            raise ConfigError(
                f'{name}={value!r} in {part} of the config is a {type(value).__name__}; write {kind}'
            )


def _is_from(function: Callable[..., Any] | None, packages: tuple[str, ...]) -> bool:
    return (getattr(function, '__module__', None) or '').partition('.')[0] in packages


def _require_submodules(runner: Any) -> None:
    """Checks names of submodules, which mmengine looks up just before training starts."""
    modules = dict(getattr(runner.model, 'module', runner.model).named_modules())
    for key in ('activation_checkpointing', 'efficient_conv_bn_eval'):
        wanted = runner.cfg.get(key) or ()
        for name in [wanted] if isinstance(wanted, str) else wanted:
            if name not in modules:
                hint = did_you_mean(str(name), modules)
                raise ConfigError(f'{name!r} in {key} of the config is not a part of the model{hint}')


def _require_loss_weights(model: Any) -> None:
    for name, module in model.named_modules():
        weight = getattr(module, 'loss_weight', 1.0)
        if isinstance(weight, str):
            raise ConfigError(
                f'loss_weight={weight!r} of {name} ({type(module).__name__}) is a str; write a number'
            )


def _require_train_loop(loop: Any, runner: Any) -> None:
    for name in ('max_iters', 'max_epochs', 'val_interval'):
        value = getattr(loop, name, 1)
        if not isinstance(value, Real) or value < 1:
            raise ConfigError(f'{name}={value!r} in train_cfg of the config; write a number of 1 or more')
    for interval in getattr(loop, 'dynamic_intervals', None) or ():
        if not isinstance(interval, Real) or interval < 1:
            raise ConfigError(
                f'an interval of {interval!r} in dynamic_intervals of train_cfg; write 1 or more'
            )
    name = type(loop).__name__
    end, begin = getattr(loop, '_max_iters', 0), getattr(loop, 'val_begin', 1)
    if runner._val_loop is not None and not isinstance(loop, EpochBasedTrainLoop) and begin > end:
        runner.logger.warning(
            f'val_begin={begin} of train_cfg lies after the last iteration, {end}: nothing is validated, and '
            'no best checkpoint is saved'
        )
    if type(loop).__module__.startswith('mmengine.'):
        runner.logger.warning(
            f'{name} neither resumes exactly nor saves when it is stopped; ResumableIterBasedTrainLoop does'
        )
    require_schedules(loop, runner)
    sampler = getattr(loop.dataloader, 'sampler', None)
    ends = getattr(type(loop), 'run_epoch', None) is not EpochBasedTrainLoop.run_epoch
    if isinstance(loop, EpochBasedTrainLoop) and not ends and isinstance(sampler, InfiniteSampler):
        raise ConfigError(
            f'{name} would never finish its first epoch with the {type(sampler).__name__} of '
            "train_dataloader; write sampler=dict(type='DefaultSampler', shuffle=True)"
        )


def _require_hook(hook: Any, runner: Any) -> None:
    name = type(hook).__name__
    if isinstance(hook, CheckpointHook):
        require_call(Runner.save_checkpoint, hook.args, f'the hook {name}', known=arguments_of(type(hook)))
        try:
            names = {hook.filename_tmpl.format(step) for step in (1, 2)}
        except (IndexError, KeyError, ValueError, AttributeError):
            names = set()
        if not names or (len(names) < 2 and hook.max_keep_ckpts > 0):  # which would delete the only one
            raise ConfigError(
                f'filename_tmpl={hook.filename_tmpl!r} of the hook {name} gives every checkpoint the same '
                "name, or none; write one {} for the iteration, e.g. 'iter_{}.pth'"
            )
        for key in hook.published_keys or ():
            hint = did_you_mean(key, SAVED) if key not in SAVED else ''
            if hint:
                raise ConfigError(f'published_keys={hook.published_keys!r} of the hook {name}: {key!r}{hint}')
        if hook.by_epoch and not isinstance(runner.train_loop, EpochBasedTrainLoop):
            runner.logger.warning(
                f'{name} counts epochs (by_epoch=True), but {type(runner.train_loop).__name__} counts '
                f'iterations: its interval={hook.interval} never comes; give it by_epoch=False'
            )
    if isinstance(hook, EMAHook) and hook.ema_model.interval < 1:
        raise ConfigError(f'interval={hook.ema_model.interval} of the hook {name}; write 1 or more')


def _require_log_processor(processor: Any) -> None:
    methods = list(HistoryBuffer._statistics_methods)
    for entry in getattr(processor, 'custom_cfg', ()):
        method = entry.get('method_name', 'mean')
        if method not in methods:
            hint = did_you_mean(method, methods) or f'; there are {", ".join(methods)}'
            raise ConfigError(f'method_name={method!r} in custom_cfg of log_processor is unknown{hint}')


def _require_test_mode(model: Any) -> None:
    """Checks `test_cfg` of the model, which mmseg reads only in the first validation."""
    model = getattr(model, 'module', model)
    config = getattr(model, 'test_cfg', None)
    predicts = getattr(type(model), 'predict', None) in (None, EncoderDecoder.predict)
    if config is None and isinstance(model, BaseSegmentor) and predicts:
        raise ConfigError("model.test_cfg=None of the config; write test_cfg=dict(mode='whole')")
    config = config or {}
    if getattr(type(model), 'inference', None) is not EncoderDecoder.inference:
        return  # it may know other modes
    mode = config.get('mode', 'whole')
    if mode not in ('whole', 'slide'):
        raise ConfigError(f"mode={mode!r} in model.test_cfg of the config; write 'whole' or 'slide'")
    for name in ('crop_size', 'stride') if mode == 'slide' else ():
        size = config.get(name)
        if not isinstance(size, (list, tuple)) or len(size) != 2 or not all(s >= 1 for s in size):
            raise ConfigError(
                f"{name}={size!r} in model.test_cfg of the config: mode='slide' needs a height and a width, "
                f'e.g. {name}=(512, 512)'
            )
