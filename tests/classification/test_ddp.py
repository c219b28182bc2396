"""Two processes that train a classifier with half of each batch, against one with the whole batch."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS, init_default_scope

from infopro_seg.config_edits import with_turn
from tests.classification.tiny import make_batch, model_config
from tests.forks import START
from tests.stand_ins import assert_same, build

RANKS, STEPS, LR = 2, 3, 0.1
CLOSE = {'rtol': 1e-9, 'atol': 1e-11}
GROUPS = {'type': 'GN', 'num_groups': 1}  # a norm of each image by itself
CASES = {
    'each': {},
    'end to end': {'modules': 1},
    'recomputed': {'checkpoint': 'blocks'},
    'overlap': {'overlap': 1},
    'momentum block': {'momentum_block': 0.7},
    'stage': {'stage': 1},
}


def settings(modules=4, loss='softmax', norm=GROUPS, stage=None, **backbone):
    config = model_config(modules, loss)
    config.backbone.update(backbone)
    if norm is not None:
        config.backbone.encoder.norm_cfg = norm
        for part in (config.backbone.local_head or {}).values():
            if isinstance(part, dict):
                part.norm_cfg = norm
    if stage is not None:
        with_turn(config.backbone, stage)
    return config


def half(batch, rank):
    return {key: value[rank::RANKS] for key, value in batch.items()}


def optimizer_of(model):
    return OptimWrapper(torch.optim.SGD(model.parameters(), lr=LR, momentum=0.9))


def train_on_rank(rank, folder):
    torch.set_num_threads(1)
    init_default_scope('mmseg')
    dist.init_process_group('gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=RANKS)
    for name, case in CASES.items():
        torch.save(trained_on_rank(build(settings(**case)), rank), f'{folder}/{name}_{rank}.pth')
    model = build(settings(loss='contrast', norm=None))
    torch.save(trained_on_rank(model, rank, steps=1), f'{folder}/contrast_{rank}.pth')
    dist.destroy_process_group()


def trained_on_rank(model, rank, steps=STEPS):
    ddp = MODEL_WRAPPERS.build({'type': 'LocalDistributedDataParallel', 'module': model})
    optim_wrapper = optimizer_of(ddp)
    for step in range(steps):
        ddp.train_step(half(make_batch(seed=step), rank), optim_wrapper)
    return model.state_dict()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('ddp')
    mp.start_processes(train_on_rank, (str(folder),), nprocs=RANKS, start_method=START)
    return folder


def states(folder, name):
    return [torch.load(folder / f'{name}_{rank}.pth', weights_only=True) for rank in range(RANKS)]


@pytest.mark.parametrize('name', CASES)
def test_two_processes_equal_one_with_the_joined_batch(name, folder):
    model = build(settings(**CASES[name]))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optim_wrapper = optimizer_of(model)
    for step in range(STEPS):
        model.train_step(make_batch(seed=step), optim_wrapper)
    expected = dict(model.state_dict())
    assert any((expected[key] != before[key]).any() for key in before)
    for state in states(folder, name):
        assert_same(dict(state), expected, **CLOSE)


def test_contrast_and_statistics_are_those_of_each_process(folder):
    """Its gradients are the average over the processes, each of which contrasts its own images."""
    models = [build(settings(loss='contrast', norm=None)) for _ in range(RANKS)]
    start = {key: value.clone() for key, value in models[0].named_parameters()}
    for rank, model in enumerate(models):
        model.train_step(half(make_batch(), rank), OptimWrapper(torch.optim.SGD(model.parameters(), lr=LR)))
    moved = [dict(model.named_parameters()) for model in models]
    keys = {name: name.replace('backbone.encoder.', 'backbone.') for name in start}
    expected = {keys[name]: sum(each[name].detach() for each in moved) / RANKS for name in start}
    for state, model in zip(states(folder, 'contrast'), models, strict=True):
        buffers = {k: v for k, v in model.state_dict().items() if k not in expected}
        assert_same(dict(state), {**expected, **buffers}, **CLOSE)
    mean = 'backbone.bn1.running_mean'
    assert (states(folder, 'contrast')[0][mean] != states(folder, 'contrast')[1][mean]).any()
