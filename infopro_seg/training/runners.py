"""Builds the runner that a config asks for."""

from __future__ import annotations

import torch
from mmengine.config import Config
from mmengine.runner import Runner

from infopro_seg.training.module_parallel.option import is_module_parallel
from infopro_seg.training.module_parallel.runner import ModuleParallelRunner
from infopro_seg.training.runner import QuietRunner, connect_ranks


def build_runner(cfg: Config) -> Runner:
    """Builds mmengine's runner for a config, on GPUs or, with gloo, on CPUs."""
    if not torch.cuda.is_available():
        connect_ranks(cfg)
    kind = ModuleParallelRunner if is_module_parallel(cfg) else QuietRunner
    return kind.from_cfg(cfg)
