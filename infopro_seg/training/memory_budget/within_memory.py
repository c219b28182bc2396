"""Runs a training; if memory runs out, continues with a smaller recipe or says how to."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_distributed
from mmengine.hooks import CheckpointHook
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from infopro_seg.training.interruptions.out_of_memory import EVALUATIONS, ran_out_of_memory
from infopro_seg.training.memory_budget.fitting import named, smaller
from infopro_seg.training.memory_budget.memory_message import memory_message
from infopro_seg.training.runners import build_runner


def train_within_memory(cfg: Config, command: Sequence[str] = ()) -> Runner:
    """Trains a config; with `--fit`, a run that runs out of memory continues with its next recipe.

    It continues from the last completed iteration, as often as the config has recipes left. Several ranks do
    not continue automatically, because ranks that wait for the failed one's gradients must end first.

    Args:
        cfg: the config, including what it resumes.
        command: the words of the command line, for the message if the run cannot continue.

    Returns:
        The runner, after training.
    """
    while True:
        runner = build_runner(cfg)
        try:
            runner.train()
        except RuntimeError as error:
            if not ran_out_of_memory(error):
                raise
            ended_in = getattr(runner._train_loop, 'ended_in', None)
            start = _newest(runner)
            alone = ended_in not in (None, *EVALUATIONS) and not is_distributed()
            following = smaller(cfg) if alone else None
            if following is None:
                saved = start is not None or (is_distributed() and runner.iter > 0)  # by the first rank
                for line in memory_message(cfg, runner, ended_in, saved, command):
                    error.add_note(line)
                raise
            text = f'{error}'.strip().split('\n', 1)[0]
            said = f'{named(cfg)} ran out of memory in {ended_in} of iteration {runner.iter + 1} ({text})'
        else:
            return runner
        cfg = _restarted(following, runner, start)
        del runner
        clean_up()
        where = f'from {start}' if start else 'from the start'
        MMLogger.get_current_instance().warning(f'{said}; continuing {where} with {named(cfg)}')


def clean_up() -> None:
    """Frees memory for the next training, and resets the measured peak."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _newest(runner: Runner) -> str | None:
    """The checkpoint from which a run continues: its newest, or the one that it started from."""
    loop: Any = runner._train_loop
    hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    written = [getattr(loop, 'saved', None), *(getattr(hook, 'last_ckpt', None) for hook in hooks)]
    found = next((path for path in written if path and Path(path).is_file()), None)
    return found or (str(runner._load_from) if runner._resume and runner._load_from else None)


def _restarted(cfg: Config, runner: Runner, start: str | None) -> Config:
    """The config of the continued run, with a new name: mmengine finds loggers and pictures by name."""
    if start is not None:
        cfg.resume, cfg.load_from = True, start
    suffix = f'recipe_{cfg.fit["chosen"]}'
    cfg.experiment_name = f'{runner.experiment_name}_{suffix}'
    if cfg.get('visualizer'):
        cfg.visualizer.name = f'{cfg.visualizer.get("name") or "visualizer"}_{suffix}'
    return cfg
