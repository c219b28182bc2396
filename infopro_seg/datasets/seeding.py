"""Randomness that depends on the position in a run and not on its history.

A resumed run must see the crops, flips and colours that an uninterrupted one would have seen. Workers'
generators carry history, so each sample is seeded by (seed, rank, position in the run) instead.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Dataset, Sampler

from infopro_seg.errors import ConfigError, DataError

Key = tuple[int, tuple[int, ...]]  # index in the data set, entropy that seeds the sample

_of_iteration: ContextVar[tuple[int, ...] | None] = ContextVar('what seeds the modules', default=None)


class SeededDataset(Dataset[Any]):
    """A data set in which each sample is drawn with its own seed.

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
    """Adds the seed of its sample to each index of a sampler, and never ends.

    A finite sampler such as mmengine's `DefaultSampler` starts over at its end with the next epoch; batches
    may cross the ends of epochs.

    Args:
        dataset: the data set.
        sampler: config of a sampler; an infinite one should have a method `skip`.
        seed: the run's seed.

    Raises:
        DataError: the data set is empty; an infinite sampler would look for its first image forever.
    """

    def __init__(self, dataset: Any, sampler: dict[str, Any], seed: int | None = None) -> None:
        if len(dataset) == 0:
            kind = type(getattr(dataset, 'dataset', dataset)).__name__
            raise DataError(f'the {kind} of train_dataloader has no images; give it one or more')
        self.sampler: Any = DATA_SAMPLERS.build(sampler, default_args={'dataset': dataset, 'seed': seed})
        self.start = 0
        self._rank: int | None = None  # among those that share the data, where these are not all ranks

    def share(self, rank: int, count: int) -> None:
        """Divides the data among fewer processes than there are ranks.

        Args:
            rank: rank of this process among them.
            count: number of these processes.

        Raises:
            ConfigError: the config's own sampler has no rank and world size.
        """
        inner, self._rank = self.sampler, rank
        if count == 1 and not hasattr(inner, 'world_size'):
            return
        if not (hasattr(inner, 'rank') and hasattr(inner, 'world_size')):
            raise ConfigError(
                f'the {type(inner).__name__} of train_dataloader has no rank and world_size, so it cannot '
                f'divide the data among {count} replicas; use InfiniteSampler or DefaultSampler'
            )
        inner.rank, inner.world_size = rank, count
        if hasattr(inner, 'total_size'):  # of mmengine's DefaultSampler
            size = len(inner.dataset)
            inner.num_samples = math.ceil((size if inner.round_up else size - rank) / count)
            inner.total_size = inner.num_samples * count if inner.round_up else size

    def reseed(self, seed: int) -> None:
        """Starts over with another seed: a resumed run reads its seed from the checkpoint."""
        self.sampler.seed = seed
        self.skip(0)

    def skip(self, num_samples: int) -> None:
        """Goes to a position, in samples of this rank since the start of the run."""
        self.start = num_samples

    def __iter__(self) -> Iterator[Key]:
        rank = get_rank() if self._rank is None else self._rank
        for position, index in enumerate(self._endless(self.start), self.start):
            yield index, (getattr(self.sampler, 'seed', None) or 0, rank, position)

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
    """Seeds Python's, NumPy's and torch's global generators, those of GPUs too, from a few integers."""
    torch.manual_seed(_seed_on_cpu(entropy))


def _seed_on_cpu(entropy: Sequence[int]) -> int:
    """Seeds Python's, NumPy's and torch's CPU generators; returns the seed of the last."""
    state = [int(word) for word in np.random.SeedSequence(entropy).generate_state(3)]
    random.seed(state[0])
    np.random.seed(state[1])
    torch.default_generator.manual_seed(state[2])
    return state[2]


@contextmanager
def seeded_modules(entropy: Sequence[int]) -> Iterator[None]:
    """Inside the block, :func:`seed_module` seeds each local module from a few integers and its number."""
    token = _of_iteration.set(tuple(entropy))
    try:
        yield
    finally:
        _of_iteration.reset(token)


def seed_module(index: int) -> None:
    """Seeds the forward pass of a local module by its index, so that it does not depend on earlier modules.

    It does nothing outside of :func:`seeded_modules`; then all modules of an iteration share one stream.
    """
    entropy = _of_iteration.get()
    if entropy is not None:
        seed_random((*entropy, index))


@contextmanager
def fork_random(entropy: Sequence[int]) -> Iterator[None]:
    """Seeds the CPU's global generators inside the block and restores them after it; GPUs' are left alone."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    _seed_on_cpu(entropy)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
