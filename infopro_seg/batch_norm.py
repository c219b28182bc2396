"""Batch norms that see a single value per channel, as after global pooling of a batch of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from infopro_seg.errors import ConfigError

TORCH_SAYS = 'Expected more than 1 value per channel when training'


class SingleValueError(ConfigError):
    """A batch norm of the network sees one value per channel, so the network cannot train."""


@contextmanager
def batch_norm_needs_two() -> Iterator[None]:
    """Says what to do if PyTorch refuses to normalise a single value, which happens in the first iteration.

    Raises:
        SingleValueError: a batch norm of the network saw one value per channel.
    """
    try:
        yield
    except SingleValueError:
        raise
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and TORCH_SAYS not in str(cause):
            cause = cause.__cause__
        if cause is None:
            raise
        raise SingleValueError(
            'a batch norm of the network sees one value per channel, because it follows global pooling and '
            f'the batch holds one crop ({cause}); use batch_size=2 or more per GPU in the train_dataloader '
            '(and drop_last=True if the last batch of an epoch may hold one), or another kind of norm; '
            'with SyncBN, one crop per GPU is enough on two GPUs or more'
        ) from error
