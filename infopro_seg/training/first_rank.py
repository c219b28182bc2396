"""What one rank decides for all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mmengine.dist import broadcast_object_list, get_dist_info

from infopro_seg.errors import RankError, UserError
from infopro_seg.faults import headline

T = TypeVar('T')


def from_first_rank(decide: Callable[[], T]) -> T:
    """What a function returns on the first rank, on all of them; the others wait for it.

    Args:
        decide: runs on the first rank only; what it returns can be pickled.

    Raises:
        UserError: the function has raised it, on all ranks.
        RankError: on the others, if it has raised anything else.
    """
    rank, count = get_dist_info()
    if count == 1:
        return decide()
    found: list[Any] = [None, None]
    failure: Exception | None = None
    if rank == 0:
        try:
            found[0] = decide()
        except Exception as error:  # whatever it is, the others must not wait for ever
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
