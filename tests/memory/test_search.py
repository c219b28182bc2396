"""The searches against brute force on short chains."""

import itertools

import pytest

from infopro_seg.memory.costs.module_costs import ModuleCosts
from infopro_seg.memory.search.module_search import ModuleSearch
from infopro_seg.memory.search.partition import assembled
from infopro_seg.memory.search.partition_search import PartitionSearch
from infopro_seg.memory.search.recipes import OPTIMIZER, make_recipe
from infopro_seg.models.recomputation.recompute_option import KEPT, Segment
from tests.memory.chains import POLICIES, make_chain


def every_segments(chain, start, end, longest):
    """Every way to divide blocks into segments that no output lies within."""
    if start == end:
        yield ()
        return
    for length in range(1, min(longest, end - start) + 1):
        if any(start <= output < start + length - 1 for output in chain.outputs):
            continue
        kinds = [Segment(policy, length) for policy in POLICIES[1:]] + ([KEPT] if length == 1 else [])
        for rest in every_segments(chain, start + length, end, longest):
            yield from ((kind, *rest) for kind in kinds)


def undominated(points):
    """The points that no other beats in both numbers, by descending peak."""
    front = []
    for flops, peak in sorted({(flops, peak) for peak, flops in points}):
        if not front or peak < front[-1][0]:
            front.append((peak, flops))
    return front


@pytest.mark.parametrize('seed', range(8))
@pytest.mark.parametrize(('start', 'end'), [(0, 6), (0, 3), (2, 6), (1, 5), (4, 6)])
def test_the_frontier_of_a_module_is_that_of_all_its_segments(seed, start, end):
    costs = ModuleCosts(make_chain(seed, blocks=6, accumulated=seed % 4 == 0, cached=False))
    search = ModuleSearch(costs, POLICIES, longest=4)
    every = [costs.cost(1, start, end, way) for way in every_segments(costs.chain, start, end, 4)]
    found = search.frontier(1, start, end)
    assert list(zip(found.peaks, found.flops, strict=True)) == undominated((m.peak, m.flops) for m in every)
    for index, (peak, flops) in enumerate(zip(found.peaks, found.flops, strict=True)):
        module = costs.cost(1, start, end, found.segments(index))
        assert (module.peak, module.flops) == (peak, flops)


def runs(segments):
    """The number of runs of equal segments, whose last may be shorter."""
    count, policy, length, open_ = 0, None, 0, False
    for segment in segments:
        if not (open_ and segment.policy == policy and segment.length <= length):
            count, policy, length = count + 1, segment.policy, segment.length
        open_ = segment.length == length
    return count


@pytest.mark.parametrize('outputs', [(2, 4), (0, 1, 2, 4)])
@pytest.mark.parametrize('seed', range(6))
def test_the_simplest_module_has_the_fewest_runs_within_the_limits(seed, outputs):
    costs = ModuleCosts(make_chain(seed, blocks=5, cached=False, outputs=outputs))
    search = ModuleSearch(costs, POLICIES, longest=3)
    every = [costs.cost(0, 0, 3, way) for way in every_segments(costs.chain, 0, 3, 3)]
    peaks = sorted(module.peak for module in every)
    flops = sorted(module.flops for module in every)
    for peak, flop in itertools.product(peaks[::7], flops[::7]):
        fitting = [runs(m.segments) for m in every if m.peak <= peak and m.flops <= flop]
        found = search.simplest(0, 0, 3, peak, flop)
        assert (found is None) == (not fitting)
        if found is not None:
            assert found.peak <= peak
            assert found.flops <= flop


def every_partition(costs, modules, longest):
    count = len(costs.chain.blocks)
    for ends in itertools.combinations(range(1, count), modules - 1):
        bounds = (0, *ends, count)
        if any(b - a < costs.chain.shortest for a, b in itertools.pairwise(bounds[1:])):
            continue
        options = [
            [costs.cost(k, a, b, way) for way in every_segments(costs.chain, a, b, longest)]
            for k, (a, b) in enumerate(itertools.pairwise(bounds))
        ]
        yield from (assembled(costs, way) for way in itertools.product(*options))


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize(('modules', 'overlap'), [(1, 0), (2, 0), (3, 0), (2, 2)])
def test_the_fewest_flops_that_fit_and_the_fewest_bytes_for_some_flops(seed, modules, overlap):
    chain = make_chain(seed, blocks=5, accumulated=seed % 3 == 0, cached=seed % 2 == 0, overlap=overlap)
    costs = ModuleCosts(chain)
    search = PartitionSearch(ModuleSearch(costs, POLICIES, longest=2))
    every = list(every_partition(costs, modules, 2))
    peaks = sorted({partition.peak for partition in every})
    exact = seed % 2 == 1 and not overlap  # else the search leaves something out
    for budget in (peaks[0] - 1, peaks[0], peaks[len(peaks) // 8], peaks[len(peaks) // 3], peaks[-1]):
        fitting = [partition.flops for partition in every if partition.peak <= budget]
        found = search.fewest_flops(modules, budget)
        assert found is not None or not fitting or not exact
        if found is not None:
            assert found.peak <= budget
            assert found.flops == min(fitting) if exact else found.flops >= min(fitting)
    flops = sorted({partition.flops for partition in every})
    for limit in (flops[0] - 1, flops[0], flops[len(flops) // 4], flops[-1], float('inf')):
        fitting = [partition.peak for partition in every if partition.flops <= limit]
        found = search.fewest_bytes(modules, limit)
        assert (found is None) == (not fitting)
        if found is not None:
            assert found.flops <= limit
            assert min(fitting) <= found.peak <= 1.01 * min(fitting) + (0 if exact else 40)
            simple = search.simplified(found, round(1.02 * found.peak), limit)
            assert simple.peak <= 1.02 * found.peak
            assert simple.flops <= limit


@pytest.mark.parametrize('seed', range(4))
def test_nothing_is_recomputed_for_less_than_what_the_step_of_the_optimizer_takes(seed):
    chain = make_chain(seed, blocks=5, cached=False, optimizer_share=20.0)
    costs = ModuleCosts(chain)
    search = PartitionSearch(ModuleSearch(costs, POLICIES, longest=2))
    every = list(every_partition(costs, 2, 2))
    found = search.fewest_bytes(2, float('inf'))
    assert found.peak == min(partition.peak for partition in every)
    assert found.flops == min(partition.flops for partition in every if partition.peak == found.peak)
    assert make_recipe(chain, found, False, '').bound == OPTIMIZER
