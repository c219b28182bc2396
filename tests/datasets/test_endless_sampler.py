import itertools

import pytest
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

from infopro_seg.datasets.seeding import SeededDataset, SeededSampler
from infopro_seg.errors import DataError

DATA = list(range(7))


@DATA_SAMPLERS.register_module()
class PlainSampler(Sampler):
    """One without epochs, seeds or skipping, as users write them."""

    def __init__(self, dataset, seed=None, empty=False):
        self.indices = [] if empty else [3, 1, 2]

    def __iter__(self):
        return iter(self.indices)

    def __len__(self):
        return len(self.indices)


def read(kind, start, count, **arguments):
    sampler = SeededSampler(DATA, {'type': kind, **arguments})
    sampler.reseed(5)
    sampler.skip(start)
    return list(itertools.islice(sampler, count))


def epochs(count):
    """What mmengine's DefaultSampler gives in each epoch."""
    sampler = DefaultSampler(DATA, shuffle=True, seed=5)
    for epoch in range(count):
        sampler.set_epoch(epoch)
        yield from sampler


def test_a_finite_sampler_goes_on_with_its_next_epoch():
    found = read('DefaultSampler', 0, 20, shuffle=True)
    assert [index for index, _ in found] == list(epochs(3))[:20]
    assert [key for _, key in found] == [(5, 0, position) for position in range(20)]


@pytest.mark.parametrize('start', [1, 6, 7, 8, 15])
@pytest.mark.parametrize('kind', ['DefaultSampler', 'InfiniteSampler', 'PlainSampler'])
def test_a_resumed_sampler_goes_on_where_it_was(kind, start):
    assert read(kind, start, 10) == read(kind, 0, start + 10)[start:]


def test_an_infinite_sampler_is_as_before():
    expected = itertools.islice(InfiniteSampler(DATA, shuffle=True, seed=5), 20)
    assert [index for index, _ in read('InfiniteSampler', 0, 20)] == list(expected)


def test_a_sampler_of_nothing_is_refused():
    with pytest.raises(DataError, match=r"PlainSampler .* gives no images; .*type='InfiniteSampler'"):
        read('PlainSampler', 0, 1, empty=True)


def test_a_data_set_without_images_is_named_before_the_sampler_looks_for_one_forever():
    data = SeededDataset([])
    with pytest.raises(DataError, match='the list of train_dataloader has no images'):
        SeededSampler(data, {'type': 'InfiniteSampler'})
