"""Configs that ask for a recipe: written, and as lines on the console."""

from dataclasses import replace
from pathlib import Path

import pytest
from mmengine import Config

from infopro_seg.config_files import load_config
from infopro_seg.memory.costs.chain import PLAIN
from infopro_seg.memory.planning.plan import Plan
from infopro_seg.memory.planning.plan_output import advice, config_lines
from infopro_seg.memory.planning.planned_config import write_config
from infopro_seg.memory.search.recipes import Recipe, with_recipe
from infopro_seg.memory.tracing.training_setup import TrainingSetup, training_setup

DEMO = Path(__file__).parents[2] / 'configs/infopro_demo.py'

RECIPE = Recipe('E2E', ('layer1.0',), (PLAIN, 'blocks'), False, peak=2**20, flops=1, bound='')
CROP = (64, 128)


@pytest.mark.parametrize('amp', [None, 'fp16', 'bf16'])
@pytest.mark.parametrize('nested', [False, True])
def test_written_config_asks_for_all_that_was_planned(tmp_path, amp, nested):
    config = Config.fromfile(DEMO)
    if nested:
        crops = [[{'type': 'RandomCrop', 'crop_size': (96, 192)}], [{'type': 'RandomFlip', 'prob': 0.5}]]
        choice = {'type': 'RandomChoice', 'transforms': crops}
        inner = {**config.train_dataloader.dataset, 'pipeline': [{'type': 'LoadImage'}, choice]}
        config.train_dataloader.dataset = {'type': 'ConcatDataset', 'datasets': [inner], '_delete_': True}
    config.dump(tmp_path / 'source.py')
    setup = TrainingSetup(3, CROP, amp)
    plan = Plan(setup, RECIPE, (RECIPE,))
    write_config(plan, RECIPE, tmp_path / 'source.py', tmp_path / 'new/written.py')
    written = load_config(tmp_path / 'new/written.py')
    assert training_setup(written) == setup
    assert written.train_dataloader.batch_size == 3
    assert written.model.data_preprocessor.size == CROP
    assert written.model.backbone.cuts == ('layer1.0',)
    assert written.model.backbone.checkpoint == (PLAIN, 'blocks')
    dataset = written.train_dataloader.dataset
    if nested:
        first, second = dataset.datasets[0].pipeline[1].transforms
        assert (first[0].crop_size, second[0].type) == (CROP, 'RandomFlip')
    else:
        own = config.train_dataloader.dataset.pipeline
        assert dataset.pipeline == [{**s, 'crop_size': CROP} if s.type == 'RandomCrop' else s for s in own]
    kinds = {None: 'OptimWrapper', 'fp16': 'AmpOptimWrapper', 'bf16': 'AmpOptimWrapper'}
    assert written.optim_wrapper.type == kinds[amp]
    assert written.optim_wrapper.get('dtype') == {None: None, 'fp16': 'float16', 'bf16': 'bfloat16'}[amp]
    assert written.optim_wrapper.get('loss_scale') == ('dynamic' if amp == 'fp16' else None)
    assert written.optim_wrapper.optimizer == config.optim_wrapper.optimizer


LAZY = """
from mmengine.optim import OptimWrapper
from torch.optim import SGD

from infopro_seg.models.segmentor import InfoProEncoderDecoder

model = dict(type=InfoProEncoderDecoder, backbone=dict(encoder=dict(depth=18), cuts=()))
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=SGD, lr=0.5))
"""


def test_a_pure_python_config_is_written_whole(tmp_path):
    (tmp_path / 'lazy.py').write_text(LAZY)
    plan, options = Plan(TrainingSetup(3, CROP), RECIPE, (RECIPE,)), {'optim_wrapper.optimizer.lr': 0.25}
    write_config(plan, RECIPE, tmp_path / 'lazy.py', tmp_path / 'written.py', options)
    written = load_config(tmp_path / 'written.py')
    assert (written.model.type, written.model.backbone.cuts) == ('InfoProEncoderDecoder', ('layer1.0',))
    assert written.train_dataloader.batch_size == 3
    assert written.optim_wrapper.optimizer == {'type': 'SGD', 'lr': 0.25}


def test_lines_on_the_console_name_what_differs():
    config = load_config(DEMO)
    own = config_lines(config, RECIPE, training_setup(config))
    other = config_lines(config, RECIPE, TrainingSetup(3, CROP, 'fp16'))
    assert own == other[: len(own)]
    assert other[len(own) :].splitlines()[1:] == [
        'model.data_preprocessor.size and crop_size of RandomCrop: (64, 128)',
        'train_dataloader = dict(batch_size=3)',
        "optim_wrapper = dict(type='AmpOptimWrapper', dtype='float16', loss_scale='dynamic')",
    ]


def test_lines_on_the_console_ask_for_the_recipe_whatever_the_config_said(tmp_path):
    """Merged into the config, as a leaf that inherits from it would be."""
    plain = Recipe('E2E', ('layer1.0',), (PLAIN, PLAIN), False, peak=2**20, flops=1, bound='')
    config = load_config(DEMO, {'model.backbone.checkpoint': 'norms', 'model.backbone.num_modules': 4})
    config.model.backbone.checkpoint_heads = True
    for recipe in (plain, RECIPE):
        lines: dict = {}
        exec(config_lines(config, recipe, training_setup(config)), lines)
        config.merge_from_dict({'model': lines['model']})
        options = {key: config.model.backbone[key] for key in ('cuts', 'checkpoint', 'checkpoint_heads')}
        assert options == recipe.backbone_options()
        assert config.model.backbone.num_modules is None
    again = config_lines(config, RECIPE, training_setup(config))
    assert again.splitlines()[1] == "    cuts=('layer1.0',),"  # also where nothing has to change


def test_a_config_for_tests_only_becomes_one_of_the_planned_training(tmp_path):
    """Such a config sets what trains to None; the batch is given to the plan."""
    config = load_config(DEMO)
    config.train_dataloader = config.optim_wrapper = config.train_cfg = None
    config.dump(tmp_path / 'source.py')
    setup = training_setup(config, batch=3, amp='bf16')
    assert config_lines(config, RECIPE, setup).splitlines()[-2:] == [
        'train_dataloader = dict(batch_size=3)',
        "optim_wrapper = dict(type='AmpOptimWrapper', dtype='bfloat16')",
    ]
    plan = Plan(setup, RECIPE, (RECIPE,))
    write_config(plan, RECIPE, tmp_path / 'source.py', tmp_path / 'written.py')
    assert training_setup(load_config(tmp_path / 'written.py')) == setup


def test_frozen_stages_are_asked_of_the_encoder():
    frozen = Recipe('E2E, 2 stages frozen', (), False, False, 2**20, 1, '', frozen_stages=2)
    config = load_config(DEMO)
    assert 'frozen_stages' not in config.model.backbone.encoder
    made = with_recipe(config, frozen)
    assert made.model.backbone.encoder == {**config.model.backbone.encoder, 'frozen_stages': 2}
    assert "encoder={'frozen_stages': 2}" in config_lines(config, frozen, training_setup(config))


def test_verdicts_say_what_each_recipe_takes_and_what_another_would_change():
    def recipe(name, peak, flops, cuts=()):
        return Recipe(name, cuts, False, False, round(peak * 2**30), flops, 'module 0, stem')

    e2e, exact, cut = recipe('E2E', 16, 1000), recipe('exact', 8.5, 1048), ('layer1.0',)
    setup = TrainingSetup(2, CROP)

    def verdict(exact, local, limit=1.2):
        plan = Plan(setup, e2e, (e2e,), 11 * 2**30, exact, local, exact_flops=limit)
        return plan.verdict, plan.recommended

    smaller = recipe('K=4', 5, 1022, cut)
    first = 'Exact gradients fit 11.00 GiB: exact takes 8.50 GiB and 4.8 % more FLOPs.'
    assert verdict(exact, smaller) == (f'{first} K=4 would save another 3.50 GiB and 2.6 % FLOPs.', exact)
    assert verdict(exact, smaller, 1.01)[1] == smaller
    assert verdict(exact, None, 1.01) == (first, exact)
    dearer = recipe('K=6', 4, 1100, cut)
    assert verdict(exact, dearer)[0].endswith('K=6 would save another 4.50 GiB for 5.2 % more FLOPs.')
    larger = recipe('K=2', 9, 1000, cut)
    assert verdict(exact, larger)[0].endswith('K=2 would take 0.50 GiB more and save 4.8 % FLOPs.')
    alike = recipe('K=3', 7, 1048, cut)
    assert verdict(exact, alike)[0].endswith('K=3 would save another 1.50 GiB at the same FLOPs.')
    text = 'No exact recipe fits 11.00 GiB; K=2 takes 9.00 GiB and no more FLOPs.'
    assert verdict(None, larger) == (text, larger)
    assert verdict(None, None) == ('Nothing fits 11.00 GiB.', None)


def test_a_local_recipe_that_an_exact_one_beats_is_not_advised():
    def recipe(name, peak, flops, cuts=()):
        return Recipe(name, cuts, False, False, round(peak * 2**30), flops, 'module 0, stem')

    e2e, exact, local = recipe('E2E', 16, 1000), recipe('norms', 10, 1000), recipe('K=2', 9, 1019, ('stem',))
    beats, larger, dearer = (
        recipe('<= 1.02', 7.5, 1020),
        recipe('<= 1.01', 9.5, 1010),
        recipe('x', 5, 1050),
    )

    def plan(*others):
        return Plan(TrainingSetup(2, CROP), e2e, (e2e, exact, local, *others), 11 * 2**30, exact, local)

    text = 'Exact gradients fit 11.00 GiB: norms takes 10.00 GiB and no more FLOPs. '
    text += 'K=2 would save another 1.00 GiB for 1.9 % more FLOPs'
    assert plan(larger, dearer).verdict == f'{text}.'
    assert plan(larger, dearer).alternative == local
    better = '; <= 1.02, with exact gradients, would save another 2.50 GiB for 2.0 % more FLOPs.'
    assert plan(larger, beats, dearer).verdict == text + better
    assert plan(larger, beats, dearer).alternative == beats
    assert plan(larger, beats, dearer).named == (exact, beats)


def test_the_verdict_says_that_a_local_recipe_saves_nothing():
    exact = Recipe('norms', (), False, False, 9 * 2**30, 1000, 'module 0, stem')
    local = Recipe('K=2', ('stem',), False, False, 9 * 2**30 + 2**24, 1015, 'module 0, stem')
    plan = Plan(TrainingSetup(2, CROP), exact, (exact, local), 11 * 2**30, exact, local)
    assert plan.verdict == (
        'Exact gradients fit 11.00 GiB: norms takes 9.00 GiB and no more FLOPs. '
        'The cheapest local recipe, K=2, saves no memory and hardly any FLOPs.'
    )
    assert plan.named == (exact,)


def test_the_recommended_recipe_is_named_though_an_exact_one_beats_it():
    exact = Recipe('exact', (), False, False, 4 * 2**30, 1300, 'module 0, stem')
    local = Recipe('K=2', ('stem',), False, False, 5 * 2**30, 1300, 'module 0, stem')
    e2e = Recipe('E2E', (), False, False, 16 * 2**30, 1000, 'module 0, stem')
    plan = Plan(TrainingSetup(2, CROP), e2e, (e2e, exact, local), 6 * 2**30, exact, local)
    assert plan.recommended == local
    assert plan.named == (exact, local)


def test_listed_local_heads_go_with_the_cuts():
    config = load_config(DEMO)
    head = config.model.backbone.local_head
    config.model.backbone.local_head = [head, head]
    whole = Recipe('E2E', (), False, False, peak=2**20, flops=1, bound='')
    assert with_recipe(config, whole).model.backbone.local_head is None
    two = Recipe('K=3', ('layer1.0', 'layer2.0'), False, False, peak=2**20, flops=1, bound='')
    assert len(with_recipe(config, two).model.backbone.local_head) == 2


@pytest.mark.parametrize('accuracy', [None, 'E2E + 0.25 mIoU (paper)'])
def test_a_recommended_local_recipe_of_unknown_accuracy_is_named(accuracy):
    e2e, exact = (
        replace(RECIPE, name=name, cuts=(), peak=peak) for name, peak in (('E2E', 16), ('exact', 9))
    )
    local = replace(RECIPE, name='K=4', peak=5, accuracy=accuracy)
    warned = 'The accuracy of K=4 is not known for this network.'

    def shown(exact):
        return advice(Plan(TrainingSetup(2, CROP), e2e, (e2e,), 11, exact, local), load_config(DEMO))

    assert (warned in shown(None)) == (accuracy is None)
    assert 'not known' not in shown(exact)
