"""The message when memory runs out in training: where, what was predicted and used, and how to go on."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import torch
from mmengine.config import Config

from infopro_seg.errors import UserError
from infopro_seg.hooks.results import peak_memory
from infopro_seg.memory.quantities import show_bytes, unit_for
from infopro_seg.memory.tracing.step import trace_step
from infopro_seg.memory.tracing.training_setup import training_setup
from infopro_seg.memory.variants import require_infopro
from infopro_seg.training.interruptions.out_of_memory import EVALUATIONS
from infopro_seg.training.memory_budget.memory_beside import memory_beside
from infopro_seg.training.module_parallel.option import is_module_parallel

LESS = 0.9  # the budget of the next attempt, as a share of the prediction or of the free memory


def memory_message(
    cfg: Config, runner: Any, ended_in: str | None, saved: bool, command: Sequence[str] = ()
) -> Iterator[str]:
    """The lines that follow the error message.

    Args:
        cfg: the config of the training.
        runner: its runner.
        ended_in: the part of the iteration that ran out of memory, or one of :data:`EVALUATIONS`.
        saved: whether there is a checkpoint to continue from.
        command: the words of the command line.
    """
    predicted = _predicted(cfg)
    if ended_in in EVALUATIONS:
        yield f'It ran out in {ended_in} at iteration {runner.iter}.'
    elif ended_in is not None:
        yield f'It ran out in {ended_in} of iteration {runner.iter + 1}.'
    used = peak_memory()
    reference = max(*used.values(), predicted or 0)
    parts = []
    if predicted is not None:
        parts.append(f'predicted for a training step: {show_bytes(predicted, reference)}')
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        others = total - free - torch.cuda.memory_reserved()
        parts.append(f'allocated at most: {show_bytes(used["allocated_bytes"], reference)}')
        parts.append(f'reserved at most: {show_bytes(used["reserved_bytes"], reference)}')
        parts.append(
            f'the GPU has {show_bytes(total, reference)}, {show_bytes(others, reference)} in other use'
        )
    else:
        parts.append(f'taken by the whole process at most: {show_bytes(used["resident_bytes"], reference)}')
    text = '; '.join(parts)
    yield f'{text[0].upper()}{text[1:]}.'
    remedy = _in_validation(cfg) if ended_in in EVALUATIONS else _in_training(cfg, predicted)
    if remedy:
        yield f'To continue: {continued(command, saved, remedy)}'


def continued(command: Sequence[str], saved: bool, options: Sequence[str]) -> str:
    """The command that continues a run with other options.

    Args:
        command: the words of the command that started the run; empty if no command did.
        saved: whether there is a checkpoint to resume.
        options: options that replace `--resume` and `--fit`.
    """
    added = [*(['--resume'] if saved else []), *options]
    launched = '--launcher' in command
    several = launched and os.environ.get('LOCAL_WORLD_SIZE') == os.environ.get('WORLD_SIZE')
    if not command or (launched and not several):
        return f'the same command with {shlex.join(added)}'
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument('--resume', nargs='?')
    if saved or '--fit' in options:
        parser.add_argument('--fit')  # the options have another, or the resumed run keeps its own
        if '--fit' not in options:
            parser.add_argument('--fit-exact-flops')  # which goes with --fit
    if launched:
        parser.add_argument('--launcher')
        parser.add_argument('--local_rank', '--local-rank')
    _, rest = parser.parse_known_args(list(command[1:]))
    if launched:
        config = rest.pop(next((at for at, word in enumerate(rest) if word.endswith('.py')), 0))
        return shlex.join(['tools/dist_train.sh', config, os.environ['WORLD_SIZE'], *rest, *added])
    program = command[0] if command[0].endswith('.py') else f'-m {command[0]}'
    return f'python {program} {shlex.join([*rest, *added])}'


def _predicted(cfg: Config) -> int | None:
    """The predicted peak of a training step; None if there is no prediction."""
    if is_module_parallel(cfg):
        return None  # a trace covers all modules in one process
    if cfg.get('fit'):
        peak: int = cfg.fit['recipes'][cfg.fit['chosen']]['peak']
        return peak
    with suppress(Exception):  # if tracing fails, the error to report is still the lack of memory
        setup = training_setup(cfg)
        return trace_step(cfg, setup.batch, setup.crop, setup.amp, accumulation=setup.accumulation).peak
    return None


def _beside(cfg: Config) -> int:
    """The bytes that a budget must hold besides a recipe's peak."""
    with suppress(Exception):  # as above
        return sum(memory_beside(cfg, training_setup(cfg)).values())
    return 0


def _in_training(cfg: Config, predicted: int | None) -> list[str]:
    """Options for a training that takes less memory."""
    backbone = cfg.model.get('backbone') or {}
    if backbone.get('stage') is not None:
        whole = backbone.get('checkpoint') in (True, 'blocks')
        return [] if whole else ['--cfg-options', 'model.backbone.checkpoint=blocks']
    try:
        require_infopro(cfg)
    except UserError:
        return []  # a stock backbone: --fit has nothing to choose from
    limits = [] if predicted is None else [predicted + _beside(cfg)]
    if torch.cuda.is_available():
        limits.append(torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved())
    if not limits or predicted is None:
        return []
    budget = int(LESS * min(limits))
    unit = unit_for(budget)
    return ['--fit', f'{budget / unit.size:.2f}{unit.name}']


def _in_validation(cfg: Config) -> list[str]:
    """Options for a validation that takes less memory; recipes change only the training."""
    if cfg.model.get('test_cfg', {}).get('mode', 'whole') == 'whole':
        with suppress(UserError):
            height, width = training_setup(cfg).crop
            stride = f'({max(height * 2 // 3, 1)},{max(width * 2 // 3, 1)})'
            values = {'mode': 'slide', 'crop_size': f'({height},{width})', 'stride': stride}
            return ['--cfg-options', *(f'model.test_cfg.{key}={value}' for key, value in values.items())]
    if (cfg.get('val_dataloader') or {}).get('batch_size', 1) > 1:
        return ['--cfg-options', 'val_dataloader.batch_size=1']
    return []
