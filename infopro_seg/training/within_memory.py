"""Runs a training; where its memory runs out, goes on by a smaller recipe or says how to."""

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

from infopro_seg.training.fitting import named, smaller
from infopro_seg.training.memory_report import memory_report
from infopro_seg.training.out_of_memory import EVALUATIONS, ran_out_of_memory
from infopro_seg.training.runners import build_runner


def train_within_memory(cfg: Config, command: Sequence[str] = ()) -> Runner:
    """Trains by a config; one that fits a budget goes on by its next recipe where memory runs out.

    It goes on from the last completed iteration, as often as the config has recipes left. Several ranks do
    not go on by themselves: those that wait for the gradients of the one that failed must end first.

    Args:
        cfg: the config, which says what it resumes.
        command: the words of the command line, for the message where it cannot go on.

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
                for line in memory_report(cfg, runner, ended_in, saved, command):
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
        MMLogger.get_current_instance().warning(f'{said}; going on {where} with {named(cfg)}')


def clean_up() -> None:
    """Makes room for the next training, and measures its memory from now on."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _newest(runner: Runner) -> str | None:
    """The checkpoint from which a run that has ended goes on: its newest, or the one that it began with."""
    loop: Any = runner._train_loop
    hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    written = [getattr(loop, 'saved', None), *(getattr(hook, 'last_ckpt', None) for hook in hooks)]
    found = next((path for path in written if path and Path(path).is_file()), None)
    return found or (str(runner._load_from) if runner._resume and runner._load_from else None)


def _restarted(cfg: Config, runner: Runner, start: str | None) -> Config:
    """The config of the run that goes on; mmengine's loggers and pictures go by name, so it has its own."""
    if start is not None:
        cfg.resume, cfg.load_from = True, start
    suffix = f'recipe_{cfg.fit["chosen"]}'
    cfg.experiment_name = f'{runner.experiment_name}_{suffix}'
    if cfg.get('visualizer'):
        cfg.visualizer.name = f'{cfg.visualizer.get("name") or "visualizer"}_{suffix}'
    return cfg
