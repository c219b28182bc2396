"""Trainings on a GPU against the same on the CPU, and what only a GPU has: mixed precision, SyncBN, waits."""

import os
import warnings
from copy import deepcopy

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import init_default_scope
from torch import nn

from infopro_seg.models.ddp import LocalDistributedDataParallel
from infopro_seg.models.recomputation.recompute import POLICIES
from infopro_seg.models.train_step import local_train_step
from tests.models import test_recompute
from tests.stand_ins import CUTS, assert_same, build, make_batch, model_config

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no GPU')

CLOSE = {'rtol': 1e-9, 'atol': 1e-11}
OPTIONS = {
    'end to end': {'cuts': ()},
    'local': {},
    'overlap': {'overlap': 1},
    'momentum block': {'momentum_block': {'momentum': 0.7, 'learnable': True}},
    'recomputed': {'checkpoint': ['norms', 'expansions', 'blocks'], 'checkpoint_heads': True},
}


@pytest.fixture(autouse=True)
def _same_algorithms(monkeypatch):
    """Sums in one order, as bit-equal results need, and no TF32."""
    monkeypatch.setattr(torch.backends.cudnn, 'deterministic', True)
    monkeypatch.setattr(torch.backends.cudnn, 'benchmark', False)
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    init_default_scope('mmseg')
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


def settings(**backbone):
    config = model_config(backbone.pop('cuts', CUTS))
    config['backbone'] |= backbone
    return config


def optimizer_of(model):
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)


def weights(model):
    return {key: value.to('cpu', copy=True) for key, value in model.state_dict().items()}


@pytest.mark.parametrize('name', OPTIONS)
def test_it_equals_a_training_on_the_cpu(name):
    model = build(settings(**OPTIONS[name]))
    twin = deepcopy(model).cuda()
    for network in (model, twin):
        optim_wrapper = OptimWrapper(optimizer_of(network))
        for step in range(3):
            local_train_step(network, make_batch(seed=step), optim_wrapper)
    assert_same(weights(twin), weights(model), **CLOSE)


@pytest.mark.parametrize('dtype', [None, 'bfloat16', 'float16'])
@pytest.mark.parametrize('policy', [*POLICIES[1:], list(POLICIES[1:])], ids=str)
def test_recomputation_changes_no_bit(policy, dtype):
    """With dropout, whose numbers the GPU draws, and float16's loss scaling."""
    found = []
    for options in ({}, {'checkpoint': policy, 'checkpoint_heads': True}):
        model = test_recompute.build(test_recompute.model_config(test_recompute.CUTS, **options)).cuda()
        torch.manual_seed(2)
        optim_wrapper = OptimWrapper(optimizer_of(model))
        if dtype:
            optim_wrapper = AmpOptimWrapper(loss_scale=128.0, dtype=dtype, optimizer=optimizer_of(model))
        for _ in range(2):
            before = weights(model)
            local_train_step(model, test_recompute.batch(), optim_wrapper)
            key = 'decode_head.conv_seg.weight'
            assert (weights(model)[key] != before[key]).any()  # no step was skipped
        found.append(weights(model))
    assert_same(found[1], found[0])


@pytest.mark.parametrize('name', OPTIONS)
def test_nothing_of_this_package_waits_for_the_gpu(name):
    """As CUDA itself tells it; `test_no_waiting.py` finds the same by the operations, without a GPU."""
    model = build(settings(**OPTIONS[name]), double=False).cuda()
    optim_wrapper = OptimWrapper(optimizer_of(model))
    local_train_step(model, make_batch(), optim_wrapper)
    torch.cuda.set_sync_debug_mode('warn')
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter('always')
            local_train_step(model, make_batch(), optim_wrapper)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    waits = {(w.filename, w.lineno) for w in caught if 'synchronizing' in str(w.message)}
    assert waits  # mmseg reads the accuracy
    assert not {place for place in waits if f'{os.sep}infopro_seg{os.sep}' in place[0]}


def rank_of_two(rank, folder):
    """One of two processes that share the GPU; each has half of the batch."""
    init_default_scope('mmseg')
    dist.init_process_group('gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=2)
    model = build(settings())
    model = nn.SyncBatchNorm.convert_sync_batchnorm(model).cuda()
    ddp = LocalDistributedDataParallel(model, device_ids=[0])
    optim_wrapper = OptimWrapper(optimizer_of(ddp))
    for step in range(2):
        whole = even_batch(step)
        ddp.train_step({key: value[2 * rank : 2 * rank + 2] for key, value in whole.items()}, optim_wrapper)
    torch.save(weights(model), f'{folder}/{rank}.pth')
    dist.destroy_process_group()


def even_batch(step):
    """Four images with as many pixels to ignore in each half, so that halves and whole weigh pixels alike."""
    batch = make_batch(4, seed=step)
    for sample in batch['data_samples']:
        label = sample.gt_sem_seg.data
        label[label == 255] = 0
        label[:, :2] = 255
    return batch


def test_sync_bn_on_two_processes_equals_bn_on_the_whole_batch(tmp_path):
    mp.start_processes(rank_of_two, (str(tmp_path),), nprocs=2, start_method='spawn')
    model = build(settings())
    optim_wrapper = OptimWrapper(optimizer_of(model))
    for step in range(2):
        local_train_step(model, even_batch(step), optim_wrapper)
    for rank in range(2):
        assert_same(torch.load(tmp_path / f'{rank}.pth'), weights(model), **CLOSE)
