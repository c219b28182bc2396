"""What local heads that run blocks of the next module take, and cuts that are balanced for it."""

import copy
from copy import deepcopy

import pytest
import torch

from infopro_seg.errors import ConfigError
from infopro_seg.memory import resolve_cuts
from infopro_seg.memory.costs.module_costs import ModuleCosts
from infopro_seg.memory.planning.planner import Planner
from infopro_seg.memory.search import recipe_search
from infopro_seg.memory.search.partition import module_peaks, partition_at
from infopro_seg.memory.tracing.training_setup import training_setup
from infopro_seg.memory.variants import with_listed_heads
from tests.memory.test_cuts import CROP, config_with
from tests.memory.traces import profile_once, trace_once
from tests.stand_ins import build

BATCH, FLOAT = 2, 4
CUTS = ('layer2.0', 'layer3.1')
LONG = ('layer2.0', 'layer3.0')  # with two blocks or more after each
OPTIONS = {
    'overlap': {'overlap': 1},
    'two blocks': {'overlap': 2},
    'momentum block': {'momentum_block': 0.9},
    'learnable': {'momentum_block': {'learnable': True}},
}


def config(option, num_modules=None, **backbone):
    made = config_with(num_modules)
    made.model.backbone.update({**deepcopy(option), **backbone})
    return made


def traced(option, cuts=CUTS, accumulation=1):
    return trace_once(config(option, cuts=cuts), BATCH, CROP, accumulation=accumulation)


@pytest.mark.parametrize('option', OPTIONS.values(), ids=OPTIONS)
def test_additive_model_equals_complete_traces(option):
    chain = profile_once(config(option), BATCH, CROP)
    names = [block.name for block in chain.blocks]
    for cuts in (LONG if option == {'overlap': 2} else CUTS, ('stem', 'layer2.1')):
        partition = partition_at(ModuleCosts(chain), [names.index(cut) + 1 for cut in cuts])
        trace = traced(option, cuts)
        assert partition.flops == trace.flops
        assert partition.peak == pytest.approx(trace.peak, rel=0.002)
        peaks = [module.peak for module in trace.modules]
        assert module_peaks(chain, partition) == pytest.approx(peaks, rel=0.002)


def test_accumulated_gradients_of_shared_blocks_count_once():
    chain = profile_once(config({'overlap': 2}), BATCH, CROP, accumulation=2)
    names = [block.name for block in chain.blocks]
    partition = partition_at(ModuleCosts(chain), [names.index(cut) + 1 for cut in LONG])
    assert partition.peak == pytest.approx(traced({'overlap': 2}, LONG, accumulation=2).peak, rel=0.05)


def saved_bytes(block, state):
    """Bytes that autograd really saves of a block's forward pass; neither its input nor what it owns."""
    known = {t.untyped_storage().data_ptr() for t in (*block.parameters(), *block.buffers(), state)}
    saved = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            saved[storage.data_ptr()] = tensor, storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = block(state)
    return sum(size for _, size in saved.values()), FLOAT * output.numel()


def owned_bytes(block):
    return sum(t.numel() * t.element_size() for t in (*block.parameters(), *block.buffers()))


def test_a_shared_block_adds_what_it_saves_to_the_peak_of_the_module_before():
    """The first module ends at its local head, when all it saves is alive."""
    plain, shared = traced({}), traced({'overlap': 1})
    encoder = build(config({}).model, double=False).backbone.encoder
    state = torch.randn(BATCH, 16, CROP[0] // 8, CROP[1] // 8, requires_grad=True)  # after layer2.0
    saved, output = saved_bytes(encoder.layer2[1], state)
    growth = shared.modules[0].peak - plain.modules[0].peak
    # beside that, its output, the gradient of that, and for each of two norms clones of three statistics, a
    # mean and a deviation
    assert saved <= growth <= saved + 2 * output + 2 * 5 * 512
    assert shared.modules[2].peak > plain.modules[2].peak  # its gradient is there before, and a wider head's
    assert shared.parameters > plain.parameters  # the local head before layer4 reads its width


def test_a_momentum_block_adds_itself_and_what_it_saves():
    plain, averaged, learnable = (
        traced(option) for option in ({}, OPTIONS['momentum block'], OPTIONS['learnable'])
    )
    encoder = build(config({}).model, double=False).backbone.encoder
    copies = [encoder.layer2[1], encoder.layer4[0]]
    owned = sum(owned_bytes(block) for block in copies)
    tensors = sum(len([*block.parameters(), *block.buffers()]) for block in copies)
    growth = averaged.buffers - plain.buffers
    assert owned <= growth <= owned + 512 * (tensors + 2)
    assert averaged.parameters == traced({'overlap': 1}).parameters
    assert learnable.parameters > averaged.parameters
    assert plain.peak < averaged.peak < learnable.peak


def test_balanced_cut_is_the_best_of_all_by_complete_traces():
    option = OPTIONS['overlap']
    (cut,) = resolve_cuts(config(option, 2)).model.backbone.cuts
    names = trace_once(config({}), BATCH, CROP).modules[0].blocks[:-1]
    peaks = {name: traced(option, (name,)).peak for name in names}
    assert peaks[cut] == min(peaks.values())


def test_balanced_modules_are_long_enough_for_what_they_share():
    resolved = resolve_cuts(config({'overlap': 2}, 4))
    model = build(resolved.model)  # which refuses shorter ones
    assert [len(blocks) for blocks in model.backbone.local_modules()] == [1, 2, 2, 2]
    with pytest.raises(ConfigError, match=r'5 local modules, each to share 2 .* 7 blocks: stem.*from 1 to 4'):
        resolve_cuts(config({'overlap': 2}, 5))


def test_plans_no_more_modules_than_can_share(monkeypatch):
    monkeypatch.setattr(
        recipe_search, 'POLICIES', ('none', 'blocks')
    )  # those of the recipes; less to measure
    planned = config({'overlap': 2})
    recipes = Planner(planned, training_setup(planned)).plan(range(4, 7)).recipes
    assert {recipe.modules for recipe in recipes} == {4}


def test_auxiliary_heads_of_falling_depth_are_balanced_each_by_its_own():
    deep = config({})
    deep.model.backbone.local_head.auxiliary_head.num_convs = (3, 1)
    chain = profile_once(with_listed_heads(deep, 3), BATCH, CROP)
    names = [block.name for block in chain.blocks]
    partition = partition_at(ModuleCosts(chain), [names.index(cut) + 1 for cut in CUTS])
    deep.model.backbone.cuts = CUTS
    trace = trace_once(deep, BATCH, CROP)
    assert partition.flops == trace.flops
    peaks = [module.peak for module in trace.modules]
    assert module_peaks(chain, partition) == pytest.approx(peaks, rel=0.002)
    plain = config({})
    assert with_listed_heads(plain, 3) is plain


def test_heads_that_depend_on_the_number_of_modules_are_those_of_that_number():
    given = config({})
    head = given.model.backbone.local_head
    expected = copy.deepcopy(given)
    expected.model.backbone.local_head.auxiliary_head.num_convs = 3
    head.auxiliary_head.num_convs = {'k2': 1, 'k3': 3, 'k4': (3, 1)}
    assert with_listed_heads(given, 3).model.to_dict() == expected.model.to_dict()
    listed = with_listed_heads(given, 4).model.backbone.local_head
    assert [one['auxiliary_head']['num_convs'] for one in listed] == [3, 2, 1]
