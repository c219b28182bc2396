"""One process per module: cuts by FLOPs against brute force, and what a process takes by hand."""

import itertools

import pytest

from infopro_seg.errors import ConfigError
from infopro_seg.memory.costs.module_costs import ModuleCosts
from infopro_seg.memory.search.partition import partition_at
from infopro_seg.memory.search.process_split import balanced_by_flops, process_cost, process_costs
from infopro_seg.training.module_parallel.link import OUTSTANDING
from tests.memory.chains import make_chain


def largest(partition):
    return max(module.flops for module in partition.modules)


def every_partition(costs, modules, option=False):
    return [partition_at(costs, ends, option) for ends in itertools.combinations(range(1, 7), modules - 1)]


@pytest.mark.parametrize('seed', range(8))
@pytest.mark.parametrize(('modules', 'option'), [(1, False), (2, False), (3, 'norms*2'), (4, False)])
def test_the_slowest_process_has_the_fewest_flops(seed, modules, option):
    costs = ModuleCosts(make_chain(seed))
    every = every_partition(costs, modules, option)
    found = balanced_by_flops(costs, modules, option)
    assert found in every
    assert largest(found) == min(map(largest, every))


@pytest.mark.parametrize('seed', range(8))
def test_each_module_fits_its_own_budget(seed):
    costs = ModuleCosts(make_chain(seed, accumulated=seed % 2 == 0))
    every = every_partition(costs, 2)
    peaks = {one.ends: [p.peak for p in process_costs(costs.chain, one)] for one in every}
    budgets = sorted(peaks.values())[len(peaks) // 2]  # which at least one partition fits
    fitting = [one for one in every if all(p <= b for p, b in zip(peaks[one.ends], budgets, strict=True))]
    found = balanced_by_flops(costs, 2, budgets=budgets)
    assert found in fitting
    assert largest(found) == min(map(largest, fitting))
    with pytest.raises(ConfigError, match='no cuts make 2 local modules fit'):
        balanced_by_flops(costs, 2, budgets=[1, 1])
    with pytest.raises(ConfigError, match='1 budgets for 2 local modules'):
        balanced_by_flops(costs, 2, budgets=[10**9])


def test_a_process_has_its_own_share_and_what_it_sends():
    chain = make_chain(3)
    costs = ModuleCosts(chain)
    first, last = partition_at(costs, [3]).modules
    head = chain.head(0, 2)
    states = sum(chain.blocks[index].state for index in {2, *(o for o in chain.outputs if o < 3)})
    sent = states + chain.inputs // 4 + chain.labels // 8
    own = sum(block.owned for block in chain.blocks[:3]) + head.owned
    gradients = sum(block.gradients for block in chain.blocks[:3]) + head.cost.gradients
    step = gradients + int(gradients * chain.optimizer_share)
    cost = process_cost(chain, 0, first)
    assert (cost.sent, cost.peak) == (sent, own + max(first.peak, step))
    assert cost.waiting == OUTSTANDING * sent  # in main memory: the GPU has none of it
    cost = process_cost(chain, 1, last)
    own = sum(block.owned for block in chain.blocks[3:]) + chain.owned
    elsewhere = sum(block.gradients for block in chain.blocks[:3])
    gradients = sum(block.gradients for block in chain.blocks[3:]) + chain.tails[0][0].gradients
    step = gradients + int(gradients * chain.optimizer_share)
    assert (cost.sent, cost.peak) == (0, own + max(last.peak - elsewhere, step))
    assert cost.waiting == sent  # what it has received
