"""Processes that begin as a copy of this one: they need not import mmseg again, which takes seconds."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import init_default_scope
from mmengine.utils import ManagerMixin

# neither CUDA nor the threads of autograd, which builds for CUDA have without a GPU too, outlive a fork
START = 'fork' if torch.version.cuda is None else 'spawn'


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
    init_default_scope('mmseg')
    function(*args)


def run_forked(
    command: Sequence[str | Path],
    stdout: Any = None,
    stderr: Any = None,
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    start_new_session: bool = False,
) -> subprocess.CompletedProcess[str]:
    """As `subprocess.run` of a Python program: `python FILE ...` or `python -m MODULE ...`.

    Args:
        command: the program and its arguments.
        stdout: a file for its output; without one the output is captured, as text.
        stderr: the same for its error output.
        env: its environment; by default this one.
        cwd: where it runs; by default here.
        start_new_session: whether it leads a group of processes of its own.
    """
    words = [str(word) for word in command]
    assert words[0] == sys.executable
    with tempfile.TemporaryFile('w+') as output, tempfile.TemporaryFile('w+') as errors:
        files = [stdout or output, stderr or errors]
        if START == 'fork':
            arguments = (words[1:], [file.fileno() for file in files], env, cwd, start_new_session)
            process = multiprocessing.get_context(START).Process(target=_as_program, args=arguments)
            process.start()
            process.join()
            status = process.exitcode
        else:
            options = {'env': env, 'cwd': cwd, 'start_new_session': start_new_session}
            status = subprocess.run(words, stdout=files[0], stderr=files[1], **options).returncode
        said = [file.seek(0) or file.read() for file in (output, errors)]
    return subprocess.CompletedProcess(words, status, *said)


def _as_program(
    words: list[str],
    outputs: Sequence[int],
    env: Mapping[str, str] | None,
    cwd: str | Path | None,
    leads: bool,
) -> None:
    if leads:
        os.setsid()
    for number, output in enumerate(outputs, start=1):
        os.dup2(output, number)
    sys.stdout, sys.stderr = (os.fdopen(number, 'w', closefd=False) for number in (1, 2))
    if env is not None:
        os.environ.clear()
        os.environ.update(env)
    if cwd is not None:
        os.chdir(cwd)
    _forget(ManagerMixin)
    sys.argv = words[words[0] == '-m' :]
    status: Any = 0
    try:
        if words[0] == '-m':
            runpy.run_module(words[1], run_name='__main__', alter_sys=True)
        else:
            runpy.run_path(words[0], run_name='__main__')
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)  # in place of leaving to Python, which would end the threads of the parent, too


def _forget(kind: Any) -> None:
    """Forgets mmengine's singletons: a logger or a visualizer of this process would write where it does."""
    for each in kind.__subclasses__():
        each._instance_dict.clear()
        _forget(each)
