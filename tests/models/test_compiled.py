"""Compiled blocks train as the others do, whatever else is asked of them."""

import copy
import pickle
import socket

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import distributed as dist

from infopro_seg.errors import ConfigError
from infopro_seg.memory import trace_step
from infopro_seg.models import Block
from infopro_seg.models.compiled import compile_options, compiled_blocks
from infopro_seg.models.ddp import LocalDistributedDataParallel
from infopro_seg.models.train_step import local_train_step
from tests.forks import run_ranks
from tests.stand_ins import (
    SIZE,
    assert_same,
    build,
    encoder_config,
    gradients,
    head_config,
    make_batch,
    model_config,
)

CLOSE = {'rtol': 1e-9, 'atol': 1e-11}  # in float64, of other kernels
COUNTERS = torch._dynamo.utils.counters


@pytest.fixture(autouse=True)
def _nothing_compiled():
    torch._dynamo.reset()
    COUNTERS.clear()


def graphs():
    return COUNTERS['stats']['unique_graphs']


def config(compile_blocks=None, **backbone):
    """Two stages of a ResNet, cut in the middle; five blocks."""
    encoder = encoder_config(num_stages=2, out_indices=(0, 1), strides=(1, 2), dilations=(1, 1))
    found = model_config(
        ('layer1.0',), encoder=encoder, decode_head=head_config(in_index=1), auxiliary_head=None
    )
    found['backbone'].update(backbone)
    if compile_blocks is not None:
        found['backbone']['compile_blocks'] = {'backend': compile_blocks}
    return found


def trained(config, iterations=2, wrap=lambda model: model):
    """The model after some train steps, the losses of each, and the gradients of another one."""
    model = build(config)
    optim_wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01))
    wrapped = wrap(model)
    losses = [local_train_step(wrapped, make_batch(seed=n), optim_wrapper) for n in range(iterations)]
    model.loss(**model.data_preprocessor(make_batch(seed=9), True))['decode.loss_ce'].backward()
    return model, losses, gradients(model)


def assert_trains_alike(actual, expected, **tolerance):
    assert_same(actual[1:], expected[1:], **tolerance)
    states = [dict(model.state_dict()) for model, *_ in (actual, expected)]
    assert_same(*states, **tolerance)


def test_losses_gradients_and_statistics_are_those_of_the_plain_network():
    """One module recomputes its blocks. Each block is one graph, or torch would say so, compiled once."""
    recomputing = {'checkpoint': ['blocks', 'none']}
    actual = trained(config('aot_eager', **recomputing))
    assert graphs() == 5
    assert not COUNTERS['graph_break']
    assert_trains_alike(actual, trained(config(**recomputing)), **CLOSE)


def test_policies_that_watch_operations_leave_their_blocks_uncompiled():
    recomputing = {'checkpoint': ['none', 'norms']}
    actual = trained(config('eager', **recomputing), 1)
    assert graphs() == 2  # those of the first module
    assert_trains_alike(actual, trained(config(**recomputing), 1), **CLOSE)


@pytest.mark.parametrize('option', [{'momentum_block': 0.9}, {'overlap': 1}])
def test_blocks_that_a_local_head_reads_through_are_compiled_too(option):
    actual = trained(config('eager', **option), 1)
    compiled = graphs()
    assert compiled > 0
    assert_trains_alike(actual, trained(config(**option), 1), **CLOSE)
    assert graphs() == compiled


def test_an_encoder_of_one_s_own_with_any_state_is_compiled():
    own = model_config(('steps.0',), encoder={'type': 'SideNormEncoder'})
    reading_all = head_config(in_index=(0, 1, 2), input_transform='resize_concat')
    own |= {'decode_head': reading_all, 'auxiliary_head': None}
    expected = trained(own)
    own['backbone']['compile_blocks'] = {'backend': 'eager'}
    assert_trains_alike(trained(own), expected, **CLOSE)
    assert graphs() == 3


def test_the_network_around_is_as_without():
    model, plain = build(config('eager')), build(config())
    assert list(model.state_dict()) == list(plain.state_dict())
    data = model.data_preprocessor(make_batch(), False)
    for network in (model.eval(), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        with torch.no_grad():
            assert_same(network(data['inputs']), plain.eval()(data['inputs']))
    assert graphs() == 0  # images of any size, without a compilation for each
    assert trace_step(config('eager'), 2, SIZE).peak == trace_step(config(), 2, SIZE).peak


def as_rank(config):
    dist.init_process_group('gloo')
    actual = trained(config, wrap=LocalDistributedDataParallel)
    plain = copy.deepcopy(config)
    del plain['backbone']['compile_blocks']
    assert graphs() == 5
    assert_trains_alike(actual, trained(plain, wrap=LocalDistributedDataParallel), **CLOSE)
    dist.destroy_process_group()


def test_ranks_exchange_the_gradients_of_compiled_blocks():
    with socket.create_server(('localhost', 0)) as free:
        port = free.getsockname()[1]
    assert run_ranks(as_rank, 2, config('eager'), port=port) == [0, 0]


def test_a_block_that_is_no_single_graph_is_named():
    def broken(state):
        torch._dynamo.graph_break()
        return state

    [block] = compiled_blocks([Block('stem', (), broken)], compile_options({'backend': 'eager'}))
    with pytest.raises(
        ConfigError, match=r'compile_blocks: stem does not compile to a single graph .*fullgraph=False'
    ):
        block.forward(torch.ones(2, requires_grad=True))


@pytest.mark.parametrize('option', ['yes', 1, None])
def test_an_option_of_another_kind_is_refused(option):
    with pytest.raises(ConfigError, match=f'compile_blocks={option!r}; give True, False, or a dict'):
        compile_options(option)
