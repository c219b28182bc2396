"""Memory that runs out in a training: which errors say so, and how to let go of what the failed step held."""

from __future__ import annotations

import gc
import re
import traceback
from collections.abc import Iterator

import torch

_LIBRARIES = re.compile(
    r'CUDA error: out of memory|(CUBLAS|CUDNN|CUSPARSE|CUSOLVER)_STATUS_ALLOC_FAILED'
    r"|DefaultCPUAllocator: (not enough|can't allocate) memory"
)
VALIDATION, TEST = EVALUATIONS = ('the validation', 'the test')  # beside what `phase_of` tells apart
_ELSEWHERE = re.compile(r'\ACaught \w+ in ')  # of torch: in a data-loading worker, or the thread that pins


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory for tensors of the model is used up, on a GPU or a CPU.

    Memory that is missing elsewhere, as in a data-loading worker, is another matter: less of it for the
    training step would not help.
    """
    if not isinstance(error, RuntimeError) or _ELSEWHERE.search(str(error)):
        return False
    return isinstance(error, torch.OutOfMemoryError) or bool(_LIBRARIES.search(str(error)))


def let_go(error: BaseException) -> None:
    """Frees what an error holds in memory: the calls that it has left, with their variables and so the graph.

    Its traceback ends with the outermost of these calls; who wants the whole of it logs it before.
    """
    for one in _chain(error):
        if one is error and one.__traceback__ is not None:
            one.__traceback__.tb_next = None
        elif one is not error:
            one.__traceback__ = None
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def phase_of(error: BaseException) -> str:
    """In which part of an iteration an error was raised: a pass of the train step, its end, or a hook."""
    names = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]
    if 'train_step' not in names:
        return 'a hook'
    if 'backward' in names:
        return 'the backward pass'
    return 'the optimizer step' if 'step' in names else 'the forward pass'


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it came from."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            pending += [one.__cause__, one.__context__]
