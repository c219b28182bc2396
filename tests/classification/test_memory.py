"""Planner and benchmark take a classifier as they take a segmentor."""

import pytest
from mmengine import Config
from mmseg.registry import MODELS

from infopro_seg.config_files import load_config
from infopro_seg.memory import resolve_cuts, trace_step
from infopro_seg.memory.measuring.measure import measure
from infopro_seg.memory.planning.plan import Plan
from infopro_seg.memory.planning.plan_output import config_lines
from infopro_seg.memory.planning.planned_config import write_config
from infopro_seg.memory.search.recipes import Recipe
from infopro_seg.memory.tracing.training_setup import TrainingSetup, training_setup
from tests.classification.tiny import CUTS, model_config

BATCH, CROP = 16, (24, 24)


def config(modules, **backbone):
    model = model_config(modules)
    model.backbone.update(backbone)
    optim_wrapper = {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9}}
    loader = {'batch_size': BATCH}
    parts = {'model': model, 'train_dataloader': loader, 'optim_wrapper': optim_wrapper}
    return Config({**parts, 'crop_size': CROP})


def test_balanced_cuts_are_those_with_the_smallest_traced_peak():
    traced = {}
    for name in CUTS[4]:
        traced[(name,)] = trace_step(config(2, cuts=(name,)), BATCH, CROP).peak
    found = resolve_cuts(config(2, cuts=(), num_modules=2)).model.backbone.cuts
    assert traced[tuple(found)] == min(traced.values())
    assert len(set(traced.values())) == 3


def test_local_modules_take_less_than_the_whole_network():
    peaks = []
    for modules in (1, 4):
        deeper = config(modules)
        deeper.model.backbone.encoder.update(depth=20, base_channels=8)
        peaks.append(trace_step(deeper, BATCH, CROP).peak)
    assert peaks[1] < peaks[0]


def test_it_is_measured():
    found = measure(config(2), TrainingSetup(4, CROP), 2)
    assert found['seconds'] == pytest.approx(4 / found['images_per_second'])


def test_a_config_of_a_recipe_is_built_and_crops_as_planned(tmp_path):
    own = config(1)
    crop = {'type': 'mmpretrain.RandomCrop', 'crop_size': 24, 'padding': 4}
    own.train_dataloader.dataset = {'type': 'CIFAR10', 'pipeline': [crop, {'type': 'RandomFlip'}]}
    own.dump(tmp_path / 'own.py')
    recipe = Recipe('E2E + blocks', (), 'blocks', True, peak=2**20, flops=1, bound='')
    setup = TrainingSetup(4, (32, 32))
    assert 'crop_size of RandomCrop: (32, 32)' in config_lines(own, recipe, setup).splitlines()
    write_config(Plan(setup, recipe, (recipe,)), recipe, tmp_path / 'own.py', tmp_path / 'written.py')
    written = load_config(tmp_path / 'written.py')
    assert training_setup(written) == setup
    assert written.train_dataloader.dataset.pipeline[0] == {**crop, 'crop_size': (32, 32)}
    assert MODELS.build(written.model).backbone.heads_recomputed
