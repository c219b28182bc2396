"""What local heads that run blocks of the next module take, and cuts that are balanced for it."""

import itertools

import pytest
from mmengine import Config
from torch._subclasses.fake_tensor import FakeTensorMode

from infopro_seg.errors import ConfigError
from infopro_seg.memory import resolve_cuts, trace_step
from infopro_seg.memory.partition import module_peaks, partition_at
from infopro_seg.memory.planner import Planner
from infopro_seg.memory.profile import profile_chain
from infopro_seg.memory.segments import Segments
from infopro_seg.memory.setup import training_setup
from infopro_seg.memory.storages import StorageTracker
from tests.memory.test_cuts import CROP, config_with
from tests.stand_ins import build_encoder

CUTS = ('layer2.0', 'layer3.1')
OPTIONS = {
    'overlap': {'overlap': 1},
    'two blocks': {'overlap': 2},
    'momentum block': {'momentum_block': 0.9},
    'learnable': {'momentum_block': {'learnable': True}},
}
every_option = pytest.mark.parametrize('option', OPTIONS.values(), ids=OPTIONS)


def config(option, cuts=None, num_modules=None):
    made = config_with(num_modules)
    made.model.backbone.update(option)
    if cuts is not None:
        made.model.backbone.cuts = cuts
    return made


def traced(option, cuts=CUTS):
    return trace_step(config(option, cuts), 2, CROP)


@every_option
def test_additive_model_is_close_to_complete_traces(option):
    chain = profile_chain(config(option), 2, CROP)
    names = [block.name for block in chain.blocks]
    for cuts in (CUTS, ('stem', 'layer3.0'), ('layer1.1',)):
        partition = partition_at(Segments(chain), [names.index(cut) + 1 for cut in cuts])
        trace = traced(option, cuts)
        assert partition.flops == trace.flops
        assert partition.peak == pytest.approx(trace.peak, rel=0.02)
        peaks = [module.peak for module in trace.modules]
        assert module_peaks(chain, partition) == pytest.approx(peaks, rel=0.02)


def activations(encoder, names):
    """Bytes that blocks keep for the backward pass, of maps as large as those of the traced step."""
