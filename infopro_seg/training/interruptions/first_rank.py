"""Lets the first rank decide for all ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mmengine.dist import broadcast_object_list, get_dist_info

from infopro_seg.errors import RankError, UserError
from infopro_seg.faults import headline

T = TypeVar('T')


def from_first_rank(decide: Callable[[], T]) -> T:
    """Calls a function on the first rank and returns its result on all ranks, which wait for it.

    Args:
        decide: runs only on the first rank; its result must be picklable.

    Raises:
        UserError: the function raised it; all ranks raise it too.
        RankError: the function raised any other error; raised on all ranks but the first.
    """
    rank, count = get_dist_info()
    if count == 1:
        return decide()
    found: list[Any] = [None, None]
    failure: Exception | None = None
    if rank == 0:
        try:
            found[0] = decide()
        except Exception as error:  # whatever it is, the other ranks must not wait for ever
            failure = error
            known = isinstance(error, UserError)
            found[1] = error if known else RankError(f'rank 0 ended the training: {headline(error)}')
    broadcast_object_list(found)
    if failure is not None:
        raise failure
    if found[1] is not None:
        raise found[1]
    result: T = found[0]
    return result
