"""The partition against brute force on small chains."""

import itertools
import random

import pytest

from infopro_seg.memory.costs import BlockCost, Chain, HeadCost, PieceCost
from infopro_seg.memory.partition import balanced, cheapest, partition_at
from infopro_seg.memory.segments import Segments

POLICIES = ('none', 'norms', 'blocks')


def make_chain(seed, blocks=7, accumulated=False, overlap=0):
    """Random costs; recomputing keeps less and takes more FLOPs."""
    draw = random.Random(seed)

    def piece(share=1.0, extra=0):
        kept = int(draw.randint(50, 400) * share)
        return PieceCost(
            forward_rise=kept + draw.randint(0, 100),
            kept=kept,
            backward_rise=kept + draw.randint(50, 300),
            released=draw.choice([0, 20]),
            unread=draw.choice([0, 10]),
            cached=draw.choice([0, 5]),
            gradients=0,
            forward_flops=draw.randint(10, 50),
            backward_flops=draw.randint(20, 100) + extra,
        )

    def with_gradients(cost, gradients):
        return PieceCost(**{**vars(cost), 'gradients': gradients})

    def block(index):
        gradients = draw.randint(5, 60)
        options = [
            {p: with_gradients(piece(1 / (n + 1), 30 * n), gradients) for n, p in enumerate(POLICIES)}
            for _ in range(2)
        ]
        return BlockCost(f'block{index}', draw.randint(10, 60), 2 * gradients, *options)

    def head():
        gradients = draw.choice([10, 80, 300])
        return HeadCost(2 * gradients, with_gradients(piece(), gradients))

    return Chain(
        blocks=tuple(block(index) for index in range(blocks)),
        heads=(tuple(head() for _ in range(blocks)),),
        tails=tuple((with_gradients(piece(), 40), with_gradients(piece(), 40)) for _ in range(3)),
        outputs=(blocks // 2, blocks - 1),
        labels=7,
        image=11,
        inputs=13,
        owned=100,
        optimizer_share=1.0,
        overlap=overlap,
        accumulated=accumulated,
    )


@pytest.mark.parametrize('seed', range(12))
@pytest.mark.parametrize('modules', [1, 2, 3, 4, 7])
def test_balanced_is_the_minimum_over_all_partitions(seed, modules):
    segments = Segments(make_chain(seed, accumulated=seed % 3 == 0))
    every = [partition_at(segments, ends) for ends in itertools.combinations(range(1, 7), modules - 1)]
    found = balanced(segments, modules)
    assert found.peak == min(partition.peak for partition in every)
    assert partition_at(segments, found.ends) == found


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize(('modules', 'overlap'), [(2, 1), (3, 2), (4, 2), (2, 4)])
def test_every_module_after_a_cut_is_as_long_as_what_it_shares(seed, modules, overlap):
    segments = Segments(make_chain(seed, overlap=overlap))
    every = [
        partition_at(segments, ends)
        for ends in itertools.combinations(range(1, 7), modules - 1)
        if all(b - a >= overlap for a, b in itertools.pairwise((*ends, 7)))
    ]
    found = balanced(segments, modules)
    assert found.peak == min(partition.peak for partition in every)
    assert found in every
    cheap = cheapest(segments, modules, max(partition.peak for partition in every), ['none'])
    assert cheap in every
    assert cheap.flops == min(partition.flops for partition in every)


@pytest.mark.parametrize('seed', range(8))
@pytest.mark.parametrize('modules', [1, 2, 3])
def test_cheapest_has_the_fewest_flops_that_fit(seed, modules):
    segments = Segments(make_chain(seed, blocks=5))
    every = [
        partition_at(segments, ends, policies)
        for ends in itertools.combinations(range(1, 5), modules - 1)
        for policies in itertools.product(POLICIES, repeat=modules)
    ]
    peaks = sorted(partition.peak for partition in every)
    for budget in (peaks[0] - 1, peaks[0], peaks[len(peaks) // 3], peaks[-1]):
        fitting = [partition.flops for partition in every if partition.peak <= budget]
        found = cheapest(segments, modules, budget, POLICIES)
        assert (found is None) == (not fitting)
        if found is not None:
            assert found.peak <= budget
            assert found.flops == min(fitting)


def test_offsets_shift_modules_by_position():
    chain = make_chain(1)
    plain, shifted = Segments(chain), Segments(chain, {'last': 5000})
    assert shifted.segment(0, 3, 7, 'none').peak == plain.segment(0, 3, 7, 'none').peak + 5000
    assert shifted.segment(0, 0, 3, 'none').peak == plain.segment(0, 0, 3, 'none').peak
