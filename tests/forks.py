"""Processes that begin as a copy of this one: they need not import mmseg again, which takes seconds."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from typing import Any

import torch

# CUDA does not outlive a fork
START = 'spawn' if torch.cuda.is_available() else 'fork'


def run_ranks(function: Callable[..., Any], ranks: int, *args: Any, port: int) -> list[int | None]:
    """Runs a function in processes that find each other as those of torchrun do; returns their statuses."""
    context = multiprocessing.get_context(START)
    processes = [
        context.Process(target=_as_rank, args=(function, rank, ranks, port, args)) for rank in range(ranks)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def _as_rank(function: Callable[..., Any], rank: int, ranks: int, port: int, args: Sequence[Any]) -> None:
    os.environ.update(RANK=f'{rank}', LOCAL_RANK=f'{rank}', WORLD_SIZE=f'{ranks}')
    os.environ.update(MASTER_ADDR='localhost', MASTER_PORT=f'{port}')
    torch.set_num_threads(1)
    function(*args)
