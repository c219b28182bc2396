"""The plan of a training says what its validations take."""

import json
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from mmengine.config import Config

from infopro_seg.memory.inference.prediction import trace_prediction
from infopro_seg.memory.planning import command
from infopro_seg.memory.planning.command import PlanRequest, plan
from infopro_seg.memory.planning.plan import Plan
from infopro_seg.memory.planning.validation import (
    Validation,
    plan_validation,
    smaller_window,
    validation_size,
)
from infopro_seg.memory.search.cuts import resolve_cuts
from infopro_seg.memory.search.recipes import Recipe
from infopro_seg.memory.tracing.storages import StorageTracker
from infopro_seg.memory.tracing.training_setup import TrainingSetup
from tests.memory.test_prediction import image
from tests.stand_ins import CUTS, build, model_config

SIZE = (96, 160)
SETUP = TrainingSetup(2, (64, 64))
RECIPE = Recipe('E2E', (), False, False, peak=2**20, flops=1, bound='')


def config(resize=None, **loader):
    steps = [{'type': 'LoadImage'}, *([resize] if resize else []), {'type': 'PackSegInputs'}]
    return Config(
        {
            'model': model_config(CUTS) | {'test_cfg': {'mode': 'whole'}},
            'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9}},
            'val_cfg': {'type': 'ValLoop'},
            'val_dataloader': {'dataset': {'type': 'CityscapesDataset', 'pipeline': steps}} | loader,
        }
    )


def resize(**options):
    return {'type': 'Resize', **options}


@pytest.mark.parametrize(
    ('step', 'expected'),
    [
        (resize(scale=(160, 96)), ((96, 160), False)),
        (resize(scale=(160, 96), keep_ratio=True), ((96, 160), True)),
        (resize(scale=96), ((96, 96), False)),
    ],
    ids=['exact', 'ratio', 'square'],
)
def test_the_size_is_that_of_the_pipeline(step, expected):
    assert validation_size(config(step).val_dataloader) == expected


@pytest.mark.parametrize(
    ('step', 'reason'), [(None, 'does not resize'), (resize(scale_factor=0.5), 'has no scale')], ids=str
)
def test_a_size_that_the_config_does_not_say_is_unknown(step, reason):
    found = plan_validation(config(step), Plan(SETUP, RECIPE, (RECIPE,)), str)
    assert isinstance(found, str)
    assert reason in found
    assert '--inference --size' in found


def test_a_training_without_validation_has_none():
    cfg = config(resize(scale=(160, 96)))
    cfg.val_cfg = None
    assert plan_validation(cfg, Plan(SETUP, RECIPE, (RECIPE,)), str) is None


def test_the_peak_is_that_of_real_tensors_with_the_optimizer_in_memory():
    cfg = config(resize(scale=(160, 96)), batch_size=2)
    planned = plan_validation(cfg, Plan(SETUP, RECIPE, (RECIPE,)), str)
    model = build(deepcopy(cfg.model.to_dict()), double=False)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    momentum = [state['momentum_buffer'] for state in optimizer.state.values()]
    model.eval()
    with StorageTracker(values=True) as tracker, torch.no_grad():
        with tracker.paused():
            samples = [image() for _ in range(2)]
            batch = {key: [one[key][0] for one in samples] for key in samples[0]}
            tracker.follow(batch['inputs'])
        tracker.follow([*model.parameters(), *model.buffers(), *momentum])
        model.test_step(batch)
        peak = tracker.phases[-1].peak
    assert planned.batch == 2
    assert planned.peak == pytest.approx(peak, rel=0.02)


def test_it_is_that_of_the_training_that_is_recommended():
    cfg = config(resize(scale=(160, 96)))
    chosen = replace(RECIPE, name='InfoPro K=2', cuts=CUTS[:1])
    peaks = [
        plan_validation(cfg, Plan(SETUP, RECIPE, (one,), 2**40, exact=one), str).peak
        for one in (RECIPE, chosen)
    ]
    cfg.model.backbone.cuts = CUTS[:1]
    assert peaks[1] == trace_prediction(cfg, SIZE, in_training=True).peak
    assert peaks[0] < peaks[1]  # no local head


@pytest.mark.parametrize('planned', [True, False], ids=['of a planned recipe', 'balanced anew'])
def test_without_a_budget_it_is_that_of_the_cuts_that_the_config_asks_for(planned):
    cfg = config(resize(scale=(160, 96)))
    cfg.train_dataloader = {'batch_size': 2}
    cfg.crop_size = (64, 64)
    cfg.model.backbone.num_modules = 2
    resolved = resolve_cuts(cfg)
    row = replace(RECIPE, name='InfoPro* K=2', cuts=tuple(resolved.model.backbone.cuts))
    found = plan_validation(cfg, Plan(SETUP, RECIPE, (RECIPE, row) if planned else (RECIPE,)), str)
    assert found.peak == trace_prediction(resolved, SIZE, in_training=True).peak


@pytest.mark.parametrize('room', [-1, 0, None], ids=['too little', 'enough', 'no budget'])
def test_the_command_says_whether_both_fit(room, tmp_path, monkeypatch, capsys):
    cfg = config(resize(scale=(160, 96)))
    cfg.train_dataloader = {'batch_size': 2}
    cfg.crop_size = (64, 64)
    cfg.dump(tmp_path / 'config.py')
    cfg.model.backbone.cuts = ()
    peak = trace_prediction(cfg, SIZE, in_training=True).peak
    budget = None if room is None else -(-peak // 1000) * 1000 + 1000 * room

    class Planned:
        """Plans end-to-end training alone."""

        def __init__(self, *args):
            pass

        def plan(self, modules, budget):
            return Plan(SETUP, RECIPE, (RECIPE,), budget, exact=None if budget is None else RECIPE)

    monkeypatch.setattr(command, 'Planner', Planned)
    text = None if budget is None else f'{budget // 1000}kB'
    request = PlanRequest(tmp_path / 'config.py', text, json=tmp_path / 'plan.json')
    assert plan(request) == (1 if room == -1 else 0)
    shown = ' '.join(capsys.readouterr().out.split())
    assert 'Validation at 96x160, mode whole, takes' in shown
    verdict = {-1: 'That does not fit', 0: 'Both fit', None: 'in memory.'}[room]
    assert verdict in shown
    for row in json.loads((tmp_path / 'plan.json').read_text()):
        assert row['validation_size'] == [96, 160]
        assert row['validation_fits'] is (None if room is None else room == 0)
        if room is not None:
            assert row['validation_gib'] == round(peak / 2**30, 4)


@pytest.mark.parametrize(
    ('size', 'window', 'side', 'stride'),
    [
        ((1024, 2048), None, 512, 341),
        ((1024, 2048), (769, 769), 384, 256),
        ((512, 512), (2048, 2048), 256, 170),  # such a window is the image
        ((1024, 2048), (2, 2), 1, 1),
    ],
)
def test_the_windows_advised_are_smaller_than_those_that_do_not_fit(size, window, side, stride):
    plan = Plan(SETUP, RECIPE, (RECIPE,), budget=1)
    text = Validation(size, False, 1, 'slide' if window else 'whole', 2, window).text(plan)
    assert f'crop_size=({side}, {side}), stride=({stride}, {stride})' in text


@pytest.mark.parametrize('size', [(2, 9), (24, 24), (63, 40), (64, 64), (96, 160), (9999, 8000)])
def test_a_smaller_window_is_smaller(size):
    side = smaller_window(size)
    assert 1 <= side <= min(*size) / 2
    assert side <= 512
    assert side % 32 == 0 or min(size) < 64


@pytest.mark.parametrize(('largest', 'where'), [(True, 'at up to 96x160,'), (False, 'at 96x160,')])
def test_the_size_is_said_to_be_the_largest_where_images_may_be_smaller(largest, where):
    text = Validation((96, 160), largest, 1, 'whole', 2).text(Plan(SETUP, RECIPE, (RECIPE,)))
    assert f'Validation {where} mode whole, takes' in text
