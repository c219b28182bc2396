"""How the processes of a distributed training tell each other that one of them ends, and why."""

from __future__ import annotations

import itertools
import re
import time
from datetime import timedelta
from typing import Any

import torch
from mmengine.dist import get_dist_info
from torch import distributed as dist

from infopro_seg.errors import RankError

PATIENCE = timedelta(minutes=5)  # how long a rank that ends waits for the others' next step
NOTICE = 5.0  # seconds within which the remaining ranks notice that another is gone
LOST = re.compile(
    r'gloo/transport|Connection (closed|reset|refused)|Broken pipe|NCCL|Timed out waiting|Socket'
    r'|Dist(Network|Store)Error'
)

_trainings = itertools.count()


def says_lost(error: BaseException) -> bool:
    """Whether an error of torch only says that the connection to another process was lost."""
    return LOST.search(f'{type(error)} {error}') is not None


class Ranks:
    """The ranks of a training; with a single process, every method does nothing.

    A rank that ends writes the reason to the store of the process group, which the others can read at any
    time. Then it meets them at their next :meth:`any`, where all agree to end. If they wait for its part of
    an iteration instead, it ends alone, and its closed connections end their waiting. All this uses a gloo
    group: over NCCL, the CPU would have to wait for the GPU in each iteration.
    """

    def __init__(self) -> None:
        self.rank, self.count = get_dist_info()
        self.several = self.count > 1
        number = next(_trainings)  # the same on all ranks
        if self.several:
            self._group = dist.new_group(backend='gloo')
            store = dist.distributed_c10d._get_default_store()
            self._store: Any = dist.distributed_c10d.PrefixStore(f'infopro_seg/{number}', store)

    def any(self, flag: bool, timeout: timedelta | None = None) -> bool:
        """Whether the flag is set on any rank; all ranks wait here for each other.

        Args:
            flag: this rank's flag.
            timeout: how long to wait; by default as long as the process group does.

        Raises:
            RankError: another rank is gone, or does not arrive in time.
        """
        if not self.several:
            return flag
        flags = torch.tensor(int(flag))
        try:
            work: Any = dist.all_reduce(flags, dist.ReduceOp.MAX, self._group, async_op=True)
            work.wait() if timeout is None else work.wait(timeout)
        except RuntimeError as error:
            raise self.explain(error) from error
        return bool(flags.item())

    def tell(self, reason: str | None = None) -> None:
        """Tells the other ranks that this one ends, and the reason if it is a fault."""
        if not self.several:
            return
        if reason is not None:
            self._store.set(f'reason/{self.rank}', reason)
        self._store.set('ends', '1')

    def ends(self) -> bool:
        """Whether any rank has said that it ends; does not wait."""
        return self.several and bool(self._store.check(['ends']))

    def fault(self) -> RankError | None:
        """The fault of another rank, if one has reported it."""
        for rank in range(self.count) if self.several else ():
            if rank != self.rank and self._store.check([f'reason/{rank}']):
                return RankError(
                    f'rank {rank} ended the training: {self._store.get(f"reason/{rank}").decode()}'
                )
        return None

    def gone(self, text: str) -> RankError:
        """The error for a neighbour that is gone: its own report, or else the first finding of any rank.

        Args:
            text: what this rank has found. The neighbour may have ended because its own neighbour was gone.
        """
        try:
            self._store.set(f'here/{self.rank}', '1')
            return self.fault() or self._first_found(text)
        except RuntimeError:  # the store is gone too
            pass
        return RankError(text)

    def explain(self, error: BaseException) -> BaseException:
        """The error itself, or, if it only says that another rank is gone, the reason of that rank."""
        if not self.several or isinstance(error, RankError) or not says_lost(error):
            return error
        try:
            return self.fault() or self._gone(error)
        except RuntimeError:  # the store was rank 0's, or the launcher's
            return RankError(
                'the process that connects the ranks (rank 0, or the launcher) has ended without a message: '
                f'{str(error).splitlines()[0]}'
            )

    def _gone(self, error: BaseException) -> RankError:
        """Names the ranks that do not respond, and so are gone."""
        self._store.set(f'here/{self.rank}', '1')
        missing = [rank for rank in range(self.count) if rank != self.rank]
        end = time.monotonic() + NOTICE
        while missing and time.monotonic() < end and self.count > 2:
            missing = [rank for rank in missing if not self._store.check([f'here/{rank}'])]
            time.sleep(0.1)
        fault = self.fault()  # a report that came after its end was noticed
        if fault is not None:
            return fault
        who = f'rank {", ".join(map(str, missing))}' if missing else 'another rank'
        return self._first_found(
            f'{who} has ended without a message: killed by a user, or by the system for lack of memory; or '
            f'its connection was lost ({str(error).splitlines()[0]})'
        )

    def _first_found(self, text: str) -> RankError:
        """The first finding about a lost rank; later ranks may only have noticed the end of the first."""
        if self._store.check(['gone']):
            return RankError(self._store.get('gone').decode())
        self._store.set('gone', text)
        return RankError(text)
