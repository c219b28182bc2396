"""Processes that begin as a copy of this one: they need not import mmseg again, which takes seconds."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import MMLogger

_run = subprocess.run
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


def run_tool(
    command: Sequence[str], stdout: Any, stderr: Any, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Stands in for `subprocess.run` of a Python script that writes to an open file."""
    process = multiprocessing.get_context('fork').Process(target=_as_script, args=(command[1:], stdout))
    process.start()
    process.join()
    return subprocess.CompletedProcess(command, process.exitcode or 0)


def _as_script(argv: Sequence[str], log: Any) -> None:
    for stream in (1, 2):
        os.dup2(log.fileno(), stream)
    sys.stdout = sys.stderr = log
    MMLogger._instance_dict.clear()  # those of the tests write elsewhere
    subprocess.run = _run  # for what the script itself starts
    sys.argv = list(argv)
    try:
        runpy.run_path(argv[0], run_name='__main__')
    except Exception:
        traceback.print_exc(file=log)
        raise
    finally:
        log.flush()
