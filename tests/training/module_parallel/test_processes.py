"""Processes that train one local module each, against one process that trains all of them."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from infopro_seg.datasets.seeding import seed_random, seeded_modules
from infopro_seg.errors import ConfigError
from infopro_seg.models.ddp import LocalDistributedDataParallel
from infopro_seg.training.module_parallel.local_module import HandedBatch
from infopro_seg.training.module_parallel.runner import ModuleParallelRunner
from infopro_seg.training.module_parallel.wrapper import ModuleParallel
from infopro_seg.training.optimizers.module_clipping import ModuleClipping, clipping_config
from tests.forks import START
from tests.stand_ins import (
    CUTS,
    assert_same,
    build,
    deeplabv3plus_config,
    head_config,
    local_head_config,
    make_batch,
    model_config,
    settle,
)

SGD = {'type': 'SGD', 'lr': 0.05, 'momentum': 0.9, 'weight_decay': 0.01}
ADAMW = {'type': 'AdamW', 'lr': 0.001, 'weight_decay': 0.05}
ITERATIONS = 4


def dropping(cuts):
    """A network with dropout in every module, of which the last reads an output of the first."""
    local = local_head_config()
    local['auxiliary_head']['dropout_ratio'] = 0.3
    decode = {**deeplabv3plus_config(), 'dropout_ratio': 0.3}
    return model_config(cuts, local_head=local, decode_head=decode)


@dataclass
class Case:
    """A training by some processes."""

    config: dict
    ranks: int
    optim_wrapper: dict = field(default_factory=lambda: {'optimizer': SGD})


CASES = {
    'three modules': Case(
        dropping(CUTS), 3, {'optimizer': SGD, 'clip_grad': {'max_norm': 0.1, 'per_module': True}}
    ),
    'two modules': Case(
        model_config(CUTS[:1], channels_last=True, auxiliary_head=head_config(0.4, in_index=0)),
        2,
        {
            'optimizer': ADAMW,
            'accumulative_counts': 2,
            'paramwise_cfg': {'custom_keys': {'layer4': {'lr_mult': 0.1}}, 'norm_decay_mult': 0.0},
        },
    ),
    'two modules, two replicas': Case(model_config(CUTS[:1]), 4),
}


def optim_wrapper_of(case, model):
    config = clipping_config({'type': 'OptimWrapper', **case.optim_wrapper})
    optim_wrapper = build_optim_wrapper(model, config)
    if isinstance(optim_wrapper, ModuleClipping):
        optim_wrapper.know_modules(getattr(model, 'module', model))
    return optim_wrapper


def train(model, case, replica, batches):
    """Trains for some iterations, under a schedule; returns optimizer wrapper and losses."""
    optim_wrapper = optim_wrapper_of(case, model)
    optim_wrapper.initialize_count_status(model, 0, ITERATIONS)
    if isinstance(model, ModuleParallel):
        model.settle(optim_wrapper)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optim_wrapper.optimizer, 0.9)
    logs = []
    for step, batch in enumerate(batches):
        seed = (7, replica, step)
        seed_random(seed)
        with seeded_modules(seed):
            logs.append(model.train_step(batch(), optim_wrapper))
        schedule.step()
    return optim_wrapper, logs


def network(case):
    return settle(build(case.config, double=False))


def train_on_rank(rank, folder):
    torch.set_num_threads(1)
    init_default_scope('mmseg')
    for name, case in CASES.items():
        if rank >= case.ranks:
            continue
        where = f'file://{folder}/{name}'
        dist.init_process_group('gloo', init_method=where, rank=rank, world_size=case.ranks)
        model = ModuleParallel(network(case))
        place = model.placement

        def batch(step, model=model, place=place):
            if place.is_first:
                return HandedBatch.loaded(make_batch(seed=10 * step + place.replica))
            return HandedBatch.of(model.link.receive())

        batches = [lambda step=step: batch(step) for step in range(ITERATIONS)]
        optim_wrapper, logs = train(model, case, place.replica, batches)
        model.link.finish()
        result = {
            'module': place.module,
            'replica': place.replica,
            'own': own_tensors(model.module),
            'steps': len(optim_wrapper.optimizer.state_dict()['state']),
            'logs': logs,
        }
        own = model.module.state_dict()
        result['state'] = {key: value for key, value in own.items() if not value.is_meta}
        torch.save(result, f'{folder}/{name}_{rank}.pth')
        if case.ranks == 4:
            torch.save(synchronised(case), f'{folder}/norms_{rank}.pth')
            # the same by DDP, on two of the ranks
            ddp_on_rank(rank, case, folder)
        dist.destroy_process_group()


def synchronised(case):
    """The ranks that each norm of a network exchanges its statistics with, where the config has `sync_bn`."""
    runner = SimpleNamespace(cfg={'sync_bn': 'torch'})
    model = ModuleParallelRunner.wrap_model(runner, None, network(case)).module
    norms = [layer for layer in model.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    return [dist.get_process_group_ranks(layer.process_group) for layer in norms]


def ddp_on_rank(rank, case, folder):
    group = dist.new_group([0, 1])
    if rank < 2:
        ddp = LocalDistributedDataParallel(network(case), process_group=group)
        batches = [lambda step=step: make_batch(seed=10 * step + rank) for step in range(ITERATIONS)]
        train(ddp, case, rank, batches)
        torch.save(ddp.module.state_dict(), f'{folder}/ddp_{rank}.pth')
    dist.barrier()


def own_tensors(model):
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor.detach().clone() for name, tensor in named if not tensor.is_meta}


def united(ranks):
    """The state dict of the whole network, from those of its processes."""
    return {key: value for rank in ranks for key, value in rank['state'].items()}


@pytest.fixture(scope='module')
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp('processes')
    ranks = max(case.ranks for case in CASES.values())
    mp.start_processes(train_on_rank, (str(folder),), nprocs=ranks, start_method=START)
    found = {
        name: [torch.load(folder / f'{name}_{rank}.pth') for rank in range(case.ranks)]
        for name, case in CASES.items()
    }
    found['norms'] = [torch.load(folder / f'norms_{rank}.pth') for rank in range(4)]
    return found | {'ddp': [torch.load(folder / f'ddp_{rank}.pth') for rank in range(2)]}


@pytest.fixture(scope='module')
def alone():
    """The same trainings in one process: model, optimizer wrapper and losses."""
    init_default_scope('mmseg')
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = {}
    for name, case in CASES.items():
        if case.ranks < 4:
            model = network(case)
            batches = [lambda step=step: make_batch(seed=10 * step) for step in range(ITERATIONS)]
            found[name] = (model, *train(model, case, 0, batches))
    torch.set_num_threads(threads)
    return found


@pytest.mark.parametrize('name', ['three modules', 'two modules'])
def test_the_processes_train_the_same_network_bit_for_bit(results, alone, name):
    model, optim_wrapper, logs = alone[name]
    state = model.state_dict()
    assert_same(united(results[name]), state)
    assert_same(results[name][0]['logs'], logs)  # the first rank has the losses of all modules
    assert sum(rank['steps'] for rank in results[name]) == len(optim_wrapper.optimizer.state_dict()['state'])


@pytest.mark.parametrize('name', ['three modules', 'two modules'])
def test_a_process_holds_its_own_module_only(results, alone, name):
    model = alone[name][0]
    parts = {rank['module']: set(rank['own']) for rank in results[name]}
    named = dict(model.named_parameters())
    for index, part in parts.items():
        for other in set(parts) - {index}:
            assert not part & parts[other] & set(named)
    assert set().union(*parts.values()) == {*named, *dict(model.named_buffers())}
    assert {name for name in parts[0] & set(named) if 'layer1' in name}
    assert {name for name in parts[len(parts) - 1] & set(named) if name.startswith('decode_head')}


def test_replicas_equal_ddp(results):
    ranks = results['two modules, two replicas']
    expected = results['ddp'][0]
    for replica in range(2):
        whole = united(rank for rank in ranks if rank['replica'] == replica)
        parameters = {name: value for name, value in whole.items() if 'running' not in name}
        assert_same(parameters, {name: expected[name] for name in parameters}, rtol=1e-4, atol=1e-6)
        if replica == 0:  # whose statistics DDP's first rank has too
            assert_same(whole, expected, rtol=1e-4, atol=1e-6)
    assert [rank['replica'] for rank in ranks] == [0, 1, 0, 1]


def test_synchronised_norms_stay_within_the_replicas_of_a_module(results):
    model = build(model_config(CUTS[:1]))
    count = len([layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)])
    for rank, norms in enumerate(results['norms']):
        assert norms == [[0, 1] if rank < 2 else [2, 3]] * count


def test_a_network_without_local_modules_is_refused():
    with pytest.raises(ConfigError, match='not Linear; leave out --module-parallel'):
        ModuleParallel(nn.Linear(1, 1))
