"""Validation and test by processes that hold one local module each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import distributed as dist

from infopro_seg.training.module_parallel.link import Link
from infopro_seg.training.module_parallel.stream import Stream


@contextmanager
def world_of(group: Any) -> Iterator[None]:
    """Within the context, torch and mmengine see only the processes of a group.

    mmengine's samplers and metrics always divide their work among all processes.

    Args:
        group: a group of processes that includes this one.
    """
    of_torch: Any = dist.distributed_c10d
    everybody = of_torch._get_default_group()
    of_torch._update_default_pg(group)
    try:
        yield
    finally:
        of_torch._update_default_pg(everybody)


class SharedBatches:
    """The batches of an evaluation; the process of the first module loads them and passes them on.

    Args:
        loader: the data loader; only the first module's process loads with it.
        stream: the stream to the neighbours.
        link: the link to the neighbours.
        before_each: called before each batch; may raise an error to end the evaluation.
    """

    def __init__(self, loader: Any, stream: Stream, link: Link, before_each: Callable[[], None]) -> None:
        self._loader, self._stream, self._place = loader, stream, link.placement
        self._before_each = before_each

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        self._stream.open()
        for batch in self._loader if self._place.is_first else self._received():
            self._before_each()
            if not self._place.is_last:
                self._stream.send_on(batch)
            yield batch
        self._stream.close()

    def _received(self) -> Iterator[Any]:
        for _ in range(len(self)):
            yield self._stream.receive()


class LastEvaluator:
    """An evaluator: only the processes of the last module have results, but all get the metrics.

    Args:
        evaluator: mmengine's evaluator.
        is_last: whether this is a process of the last module.
        last_group: the processes of the last module.
        link: the link whose group of all processes sends the metrics.
    """

    def __init__(self, evaluator: Any, is_last: bool, last_group: Any, link: Link) -> None:
        self._evaluator, self._is_last, self._last_group, self._link = evaluator, is_last, last_group, link

    def __getattr__(self, name: str) -> Any:
        return getattr(self._evaluator, name)

    def process(self, *args: Any, **kwargs: Any) -> None:
        """Takes the results of a batch."""
        if self._is_last:
            self._evaluator.process(*args, **kwargs)

    def evaluate(self, size: int) -> Any:
        """Computes the metrics of all results; all processes wait for them.

        Args:
            size: number of images.
        """
        metrics = [None]
        if self._is_last:
            with world_of(self._last_group):
                metrics = [self._evaluator.evaluate(size)]
        dist.broadcast_object_list(metrics, 0, self._link.everybody)
        return metrics[0]
