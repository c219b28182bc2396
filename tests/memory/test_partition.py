"""The partition against brute force on small chains."""

import itertools

import pytest

from infopro_seg.memory.costs.module_costs import ModuleCosts
from infopro_seg.memory.search.partition import balanced, partition_at
from infopro_seg.models.recomputation.recompute_option import Segment
from tests.memory.chains import make_chain


@pytest.mark.parametrize('seed', range(12))
@pytest.mark.parametrize('modules', [1, 2, 3, 4, 7])
def test_balanced_is_the_minimum_over_all_partitions(seed, modules):
    costs = ModuleCosts(make_chain(seed, accumulated=seed % 3 == 0))
    every = [partition_at(costs, ends) for ends in itertools.combinations(range(1, 7), modules - 1)]
    found = balanced(costs, modules)
    assert found.peak == min(partition.peak for partition in every)
    assert partition_at(costs, found.ends) == found


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize(('modules', 'overlap'), [(2, 1), (3, 2), (4, 2), (2, 4)])
def test_every_module_after_a_cut_is_as_long_as_what_it_shares(seed, modules, overlap):
    costs = ModuleCosts(make_chain(seed, overlap=overlap))
    every = [
        partition_at(costs, ends)
        for ends in itertools.combinations(range(1, 7), modules - 1)
        if all(b - a >= overlap for a, b in itertools.pairwise((*ends, 7)))
    ]
    found = balanced(costs, modules)
    assert found.peak == min(partition.peak for partition in every)
    assert found in every


KEPT = (Segment('none', 1),)


def test_offsets_shift_modules_by_position():
    chain = make_chain(1)
    plain, shifted = ModuleCosts(chain), ModuleCosts(chain, {'last': 5000})
    assert shifted.cost(0, 3, 7, 4 * KEPT).peak == plain.cost(0, 3, 7, 4 * KEPT).peak + 5000
    assert shifted.cost(0, 0, 3, 3 * KEPT).peak == plain.cost(0, 0, 3, 3 * KEPT).peak


def test_balanced_modules_recompute_what_the_config_says():
    costs = ModuleCosts(make_chain(2))
    for option in ('norms*2', 'block1-block4: blocks*2', ['blocks', 'none', 'norms*3']):
        every = [partition_at(costs, ends, option) for ends in itertools.combinations(range(1, 7), 2)]
        found = balanced(costs, 3, option)
        assert found.peak == min(partition.peak for partition in every)
        assert found in every
