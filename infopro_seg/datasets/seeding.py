"""Randomness that depends on the position in a run and not on its history.

A resumed run must see the crops, flips and colours that an uninterrupted one would have seen. Workers'
generators carry history, so each sample is seeded by (seed, rank, position in the run) instead.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Dataset, Sampler

from infopro_seg.errors import DataError

Key = tuple[int, tuple[int, ...]]  # index in the data set, what seeds the sample


class SeededDataset(Dataset[Any]):
    """A data set whose sample is drawn under a seed of its own.

    Args:
        dataset: any mmseg data set.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    @property
    def metainfo(self) -> dict[str, Any]:
        """The data set's classes and palette."""
        meta: dict[str, Any] = self.dataset.metainfo
        return meta

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, key: Key) -> Any:
        index, entropy = key
        with fork_random(entropy):
            return self.dataset[index]


@DATA_SAMPLERS.register_module()
class SeededSampler(Sampler[Key]):
    """Adds to each index of a sampler what seeds its sample, and goes on for ever.

    A finite sampler such as mmengine's `DefaultSampler` starts over at its end, as its next epoch; batches
    take no notice of where one begins.

    Args:
        dataset: the data set.
        sampler: config of a sampler; an infinite one is expected to be able to `skip`.
        seed: the run's seed.
    """

    def __init__(self, dataset: Any, sampler: dict[str, Any], seed: int | None = None) -> None:
        self.sampler: Any = DATA_SAMPLERS.build(sampler, default_args={'dataset': dataset, 'seed': seed})
        self.start = 0

    def reseed(self, seed: int) -> None:
        """Starts over under another seed: a resumed run learns its seed from the checkpoint."""
        self.sampler.seed = seed
        self.skip(0)

    def skip(self, num_samples: int) -> None:
        """Goes to a position, in samples of this rank since the start of the run."""
        self.start = num_samples

    def __iter__(self) -> Iterator[Key]:
        for position, index in enumerate(self._endless(self.start), self.start):
            yield index, (getattr(self.sampler, 'seed', None) or 0, get_rank(), position)

    def _endless(self, skipped: int) -> Iterator[int]:
        """The indices from a position on."""
        if hasattr(self.sampler, 'skip'):
            self.sampler.skip(skipped)
            yield from self.sampler
            return
        for epoch in itertools.count():
            if hasattr(self.sampler, 'set_epoch'):
                self.sampler.set_epoch(epoch)
            count = 0
            for count, index in enumerate(self.sampler, 1):
                if count > skipped:
                    yield index
            skipped = max(0, skipped - count)
            if count == 0:
                raise DataError(
                    f'the {type(self.sampler).__name__} of train_dataloader gives no images; choose another, '
                    "e.g. sampler=dict(type='InfiniteSampler', shuffle=True)"
                )

    def __len__(self) -> int:
        return len(self.sampler)


def seed_random(entropy: Sequence[int]) -> None:
    """Seeds Python's, NumPy's and torch's global generators from a few integers."""
    state = [int(word) for word in np.random.SeedSequence(entropy).generate_state(3)]
    random.seed(state[0])
    np.random.seed(state[1])
    torch.manual_seed(state[2])


@contextmanager
def fork_random(entropy: Sequence[int]) -> Iterator[None]:
    """Seeds the global generators inside the block and restores them after it."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    seed_random(entropy)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
