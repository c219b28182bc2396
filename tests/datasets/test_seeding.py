import itertools
import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from infopro_seg.datasets import seeding
from infopro_seg.datasets.seeding import SeededDataset, SeededSampler, fork_random, seed_random

SIZE, INFINITE = 7, {'type': 'InfiniteSampler', 'shuffle': True}


class Draws(Dataset):
    """Samples that are the index and a number of each of the three generators."""

    metainfo = {'classes': ('a',)}

    def __len__(self):
        return SIZE

    def __getitem__(self, index):
        return index, random.random(), float(np.random.rand()), float(torch.rand(()))


def first(count, seed=3, start=0, workers=0):
    dataset = SeededDataset(Draws())
    sampler = SeededSampler(dataset, INFINITE, seed=seed)
    if start:
        sampler.skip(start)
    loader = DataLoader(dataset, batch_size=2, sampler=sampler, num_workers=workers, collate_fn=list)
    batches = list(itertools.islice(loader, count // 2))
    return [sample for batch in batches for sample in batch]


def states():
    return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()


def test_a_sample_depends_only_on_its_position(monkeypatch):
    """Neither on where the run was resumed, on the workers, nor on what was drawn before."""
    expected = first(12)
    random.seed(99), np.random.seed(99), torch.manual_seed(99)
    assert first(12) == expected
    assert first(6, start=6) == expected[6:]
    assert first(12, workers=2) == expected


def test_no_two_samples_share_their_random_numbers(monkeypatch):
    """Positions, seeds and ranks all count; the same image is drawn anew in each epoch."""
    runs = [first(2 * SIZE), first(2 * SIZE, seed=4)]
    monkeypatch.setattr(seeding, 'get_rank', lambda: 1)
    runs.append(first(2 * SIZE))
    draws = [sample[generator] for run in runs for sample in run for generator in (1, 2, 3)]
    assert len(set(draws)) == len(draws)
    assert [sample[0] for sample in runs[0]] != [sample[0] for sample in runs[1]]


def test_the_order_is_the_inner_sampler_s():
    order = torch.Generator().manual_seed(3)
    expected = [index for _ in range(2) for index in torch.randperm(SIZE, generator=order).tolist()]
    assert [sample[0] for sample in first(2 * SIZE)] == expected


def test_reseeding_is_starting_with_that_seed():
    dataset = SeededDataset(Draws())
    sampler = SeededSampler(dataset, INFINITE, seed=1)
    sampler.skip(5)
    sampler.reseed(3)
    keys = list(itertools.islice(sampler, 4))
    assert [dataset[key] for key in keys] == first(4)


@pytest.mark.parametrize('fails', [False, True])
def test_the_global_generators_are_restored(fails):
    before = states()
    try:
        with fork_random((1, 2, 3)):
            inside = states()
            if fails:
                raise OSError
    except OSError:
        pass
    assert states() == before
    assert all(one != other for one, other in zip(inside, before, strict=True))


def test_seeding_sets_every_generator_alike():
    drawn = []
    for _ in range(2):
        seed_random((5, 0, 7))
        drawn.append((random.random(), np.random.rand(), float(torch.rand(()))))
    assert drawn[0] == drawn[1]


def test_the_data_set_s_own_length_and_classes_show():
    dataset = SeededDataset(Draws())
    assert (len(dataset), dataset.metainfo) == (SIZE, Draws.metainfo)
    assert len(SeededSampler(dataset, INFINITE, seed=0)) == SIZE


def test_drawing_a_sample_leaves_the_generators_of_gpus_alone(monkeypatch):
    """Without workers, samples are drawn between training steps, which draw their dropout there."""
    seeded = []
    monkeypatch.setattr(torch.cuda, 'manual_seed_all', seeded.append)
    with fork_random((1, 2, 3)):
        drawn = random.random(), np.random.rand(), torch.rand(1)
    assert seeded == []
    seed_random((1, 2, 3))
    assert len(seeded) == 1
    assert (random.random(), np.random.rand(), torch.rand(1)) == drawn
