"""Trainings of a classifier as a user runs them: stopped and continued, in stages, repeated."""

import itertools
import json
from pathlib import Path

import pytest
import torch

from infopro_seg.evaluate import evaluate
from infopro_seg.training.launch import train
from tests.classification.made import write_config, write_npz
from tests.runs import SIGINT, load
from tests.stand_ins import assert_same

ITERATIONS, STOPPED = 5, 3
AUGMENTED = [  # everything random that a pipeline can be
    {'type': 'mmpretrain.RandomCrop', 'crop_size': 24, 'padding': 4, 'padding_mode': 'reflect'},
    {'type': 'RandomFlip', 'prob': 0.5, 'direction': 'horizontal'},
    {'type': 'mmpretrain.PackInputs'},
]
SCHEDULE = [{'type': 'PolyLR', 'eta_min': 1e-3, 'end': ITERATIONS, 'by_epoch': False}]
STOP = {'type': 'SignalHook', 'iteration': STOPPED, 'number': SIGINT}
HEAD = 'model.backbone.local_head.auxiliary_head'
WAYS = {
    'softmax': {},
    'contrast': {f'{HEAD}.loss': 'contrast'},
    'averages': {'model.backbone.momentum_block': 0.9, 'model.backbone.checkpoint': 'blocks'},
    'overlap': {'model.backbone.overlap': 1, 'optim_wrapper.accumulative_counts': 2},
}
STAGES = {'stages': [{}, {'optim_wrapper': {'optimizer': {'lr': 0.02}}}]}

_names = itertools.count()


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp('made')
    return write_config(folder / 'config.py', write_npz(folder / 'made.npz'), ITERATIONS)


def training(config, folder, hooks=(), options=None, validates=False, **arguments):
    name = f'classifier_{next(_names)}'
    given = {
        'experiment_name': name,
        'visualizer.name': name,
        'train_dataloader.dataset.pipeline': AUGMENTED,
        'optim_wrapper.optimizer.momentum': 0.9,
        'param_scheduler': SCHEDULE,
        'custom_hooks': [{'type': 'CheckpointGuardHook'}, *hooks],
        'log_level': 'ERROR',
        **({} if validates else dict.fromkeys(('val_dataloader', 'val_cfg', 'val_evaluator'))),
        **(options or {}),
    }
    return train(config, work_dir=str(folder), options=given, **arguments)


def final(folder, iteration=ITERATIONS):
    content = load(Path(folder) / f'iter_{iteration}.pth')
    return {**content['state_dict'], 'optimizer': content['optimizer']['state']}


@pytest.mark.parametrize('amp', [False, True], ids=['fp32', 'bf16'])
@pytest.mark.parametrize('way', WAYS)
def test_a_stopped_and_resumed_training_equals_an_uninterrupted_one(config, tmp_path, way, amp):
    options = {'options': WAYS[way], 'amp': amp}
    training(config, tmp_path / 'whole', **options)
    assert training(config, tmp_path / 'parts', [STOP], **options).iter == STOPPED
    assert (tmp_path / 'parts' / f'iter_{STOPPED}.pth').is_file()
    assert training(config, tmp_path / 'parts', resume=True, **options).iter == ITERATIONS
    assert_same(final(tmp_path / 'parts'), final(tmp_path / 'whole'))


def test_a_repeated_deterministic_training_is_the_same_and_another_seed_another(config, tmp_path):
    found = []
    for place, seed in enumerate((3, 3, 4)):
        options = {'randomness.deterministic': True}
        try:
            training(config, tmp_path / str(place), options=options, seed=seed)
            assert torch.are_deterministic_algorithms_enabled()
        finally:
            torch.use_deterministic_algorithms(False)
        found.append(final(tmp_path / str(place)))
    assert_same(found[1], found[0])
    assert (found[2]['head.fc.weight'] != found[0]['head.fc.weight']).any()


@pytest.fixture(scope='module')
def staged(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp('staged')
    hooks = [{'type': 'ResultsHook'}]
    training(config, folder, hooks, STAGES, validates=True)
    return folder


def of_first(name):
    """Whether a key belongs to the first of the two modules."""
    parts = ('conv1', 'bn1', 'layer1', 'local_heads')
    return name.startswith(tuple(f'backbone.{part}' for part in parts))


def test_a_stage_leaves_the_finished_module_as_it_was(staged):
    """Bit for bit: weights, statistics of norms and their counters."""
    first, second = (load(staged / f'stage_{k}' / f'iter_{ITERATIONS}.pth') for k in range(2))
    before, after = first['state_dict'], second['state_dict']
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {key for key in before if not of_first(key)}
    rates = [each['optimizer']['param_groups'][0]['initial_lr'] for each in (first, second)]
    assert rates == [0.01, 0.02]


def test_the_last_stage_is_measured_and_tested_as_a_whole_network(staged, config, tmp_path):
    results = [json.loads((staged / f'stage_{k}' / 'metrics.json').read_text()) for k in range(2)]
    assert results[0]['percent'] == {}
    found = evaluate(config, staged / 'stage_1' / f'iter_{ITERATIONS}.pth', work_dir=str(tmp_path))
    assert found['percent'] == results[1]['percent']
    assert set(found['percent']) == {'accuracy/top1', 'accuracy/top2'}


@pytest.mark.parametrize('stopped', [0, 1])
def test_a_stopped_stage_continues_as_if_it_had_not_been(staged, config, tmp_path, stopped):
    for stage in range(stopped):
        training(config, tmp_path, options=STAGES, stage=stage)
    assert training(config, tmp_path, [STOP], STAGES, stage=stopped).iter == STOPPED
    assert training(config, tmp_path, options=STAGES, resume=True).iter == ITERATIONS
    for stage in range(2):
        assert_same(final(tmp_path / f'stage_{stage}'), final(staged / f'stage_{stage}'))
