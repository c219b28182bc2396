"""Recognises errors for lack of memory, and frees what the failed step held."""

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
VALIDATION, TEST = EVALUATIONS = ('the validation', 'the test')  # besides the parts that `phase_of` returns
_ELSEWHERE = re.compile(r'\ACaught \w+ in ')  # torch's, from a data-loading worker or the pinning thread


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left for tensors of the model, on a GPU or a CPU.

    Lack of memory elsewhere, as in a data-loading worker, does not count: a smaller training step would not
    help.
    """
    if not isinstance(error, RuntimeError) or _ELSEWHERE.search(str(error)):
        return False
    return isinstance(error, torch.OutOfMemoryError) or bool(_LIBRARIES.search(str(error)))


def let_go(error: BaseException) -> None:
    """Frees what the traceback of an error holds: the variables of its calls, and so the graph.

    Afterwards only the outermost call is left in the traceback; log it before if you need all of it.
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
    """The part of an iteration that raised an error: a pass, the optimizer step, or a hook."""
    names = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]
    if 'train_step' not in names:
        return 'a hook'
    if 'backward' in names:
        return 'the backward pass'
    return 'the optimizer step' if 'step' in names else 'the forward pass'


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and the errors that caused it."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            pending += [one.__cause__, one.__context__]
