"""Which recipe a run trains by: that of a plan, kept over resumes and the same on all ranks."""

import socket
from inspect import signature
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from torch import distributed as dist

from infopro_seg.errors import RankError, UserError
from infopro_seg.memory.planning.validation import Validation
from infopro_seg.memory.search.recipes import Recipe
from infopro_seg.models.backbone import InfoProBackbone
from infopro_seg.training.interruptions.first_rank import from_first_rank
from infopro_seg.training.memory_budget import fitting
from infopro_seg.training.memory_budget.fitting import FitRequest, fit_config, named, smaller, with_fit
from tests.forks import run_ranks
from tests.stand_ins import local_head_config, model_config

GIB = 2**30


def recipe(name, gradients, gib, cuts, checkpoint=False):
    """A recipe of the planner, with the peak that a test needs."""
    found = Recipe(name, cuts, checkpoint, False, int(gib * GIB), 110, 'module 0, forward', traced=True)
    assert found.gradients == gradients
    return found


LADDER = (
    recipe('E2E + blocks', 'exact', 4, (), True),
    recipe('InfoPro K=2', 'local', 3, ('layer2.0',)),
    recipe('InfoPro K=3', 'local', 2, ('layer1.1', 'layer2.0')),
    recipe('InfoPro K=3 + blocks', 'local', 1, ('layer1.1', 'layer2.0'), True),
)


VALIDATION = Validation((1024, 2048), False, 1, 'whole', 3 * GIB)


@pytest.fixture
def plans(monkeypatch):
    """The requests to the planner, which knows four recipes."""
    asked = []

    def plan_to_fit(cfg, budget, exact_flops=1.2, retries=3, setup=None, report=print):
        asked.append((budget, exact_flops, str(setup)))
        found = tuple(recipe for recipe in LADDER if recipe.peak <= budget)[: retries + 1]
        if not found:
            raise UserError('nothing fits')
        lines = ('the verdict', found[0].name)
        reference = SimpleNamespace(flops=100, peak=16 * GIB)
        plan = SimpleNamespace(budget=budget, reference=reference, recommended=found[0])
        return SimpleNamespace(recipes=found, reference=reference, plan=plan, lines=lambda: lines)

    monkeypatch.setattr(fitting, 'plan_to_fit', plan_to_fit)
    monkeypatch.setattr(fitting, 'plan_validation', lambda cfg, plan, report: VALIDATION)
    return asked


@pytest.fixture
def told(monkeypatch):
    found = []
    logger = SimpleNamespace(info=found.append)
    monkeypatch.setattr(fitting.MMLogger, 'get_current_instance', lambda: logger)
    return found


def config(**more):
    backbone = more.pop('backbone', {})
    cfg = {'model': model_config(), 'train_dataloader': {'batch_size': 2}, **more}
    cfg['model']['backbone'].update(backbone)
    return Config(cfg)


def resumed(cfg, tmp_path, **more):
    """A config that resumes a run of another one."""
    path = tmp_path / 'iter_2.pth'
    torch.save({'meta': {'cfg': cfg.pretty_text}}, path)
    return config(resume=True, load_from=str(path), **more)


def trains_by(cfg):
    backbone = cfg.model.backbone
    return tuple(backbone.cuts), backbone.get('checkpoint'), cfg.fit['chosen']


FIRST = ('layer2.0',), False, 0
SECOND = ('layer1.1', 'layer2.0'), False, 1


def test_the_chosen_recipe_is_planned_told_and_written_into_the_config(plans, told):
    own = config(backbone={'num_modules': 3})
    fitted = fit_config(own, FitRequest('3.5GiB', 1.1))
    assert plans == [(int(3.5 * GIB), 1.1, 'batch 2, crop 32x64, fp32')]
    assert told[-2:] == ['the verdict', 'InfoPro K=2']
    assert trains_by(fitted) == FIRST
    assert fitted.model.backbone.get('num_modules') is None
    assert own.model.backbone.num_modules == 3
    read = Config.fromstring(fitted.pretty_text, '.py')  # what a dumped config and a checkpoint hold
    assert read.fit.to_dict() == {**fitted.fit.to_dict(), 'recipes': read.fit.recipes}
    assert [recipe['name'] for recipe in read.fit.recipes] == [recipe.name for recipe in LADDER[1:]]
    assert named(read) == 'InfoPro K=2 (local gradients), predicted peak 3.00 GiB'


def test_a_validation_that_does_not_fit_is_told(plans, told):
    fit_config(config(), FitRequest('3.5GiB'))
    assert told[-1] == 'InfoPro K=2'
    fit_config(config(), FitRequest('2.5GiB'))
    assert told[-2] == 'InfoPro K=3'
    assert told[-1].startswith('Validation at 1024x2048, mode whole, takes 3.00 GiB')
    assert 'That does not fit 2.50 GiB: use smaller windows' in told[-1]


def test_what_a_validation_takes_may_be_unknown(plans, told, monkeypatch):
    monkeypatch.setattr(fitting, 'plan_validation', lambda cfg, plan, report: 'It is unknown.')
    fit_config(config(), FitRequest('3.5GiB'))
    assert told[-2:] == ['InfoPro K=2', 'It is unknown.']


def test_the_next_recipe_takes_back_what_the_one_before_has_set(plans, told):
    """Also an option of the config's own, which only some of the recipes change."""
    cfg = fit_config(config(backbone={'checkpoint_heads': True}), FitRequest('9GiB'))
    found = []
    while cfg is not None:
        found.append((*trains_by(cfg)[:2], cfg.model.backbone.checkpoint_heads))
        cfg = smaller(cfg)
    assert found == [(r.cuts, r.recompute, False) for r in LADDER]


def test_a_list_of_local_heads_goes_and_comes_with_the_cuts(plans, told):
    listed = config(backbone={'cuts': ('layer2.0',), 'local_head': [local_head_config()]})
    whole = fit_config(listed, FitRequest('9GiB'))
    assert whole.model.backbone.local_head is None
    assert smaller(whole).model.backbone.local_head == listed.model.backbone.local_head


def test_the_recipe_replaces_how_the_config_finds_its_cuts(plans, told):
    fitted = fit_config(config(backbone={'num_modules': 2, 'balance': 'flops'}), FitRequest('3.5GiB'))
    assert set(fitted.model.backbone) <= {*signature(InfoProBackbone).parameters, 'type'}


@pytest.mark.parametrize(
    ('request_', 'expected', 'planned'),
    [
        (None, FIRST, False),
        (FitRequest('3.5GiB'), FIRST, False),
        (FitRequest('80GiB'), FIRST, False),  # the gradients stay those of the run, also on a larger GPU
        (FitRequest('2.5GiB'), SECOND, False),
    ],
)
def test_a_resumed_run_keeps_its_recipe_while_it_fits(plans, told, tmp_path, request_, expected, planned):
    before = fit_config(config(), FitRequest('3.5GiB'))
    plans.clear()
    after = fit_config(resumed(before, tmp_path), request_)
    assert trains_by(after) == expected
    assert bool(plans) is planned
    assert str(tmp_path / 'iter_2.pth') in told[-2]
    assert after.fit['budget'] == (request_ or FitRequest('3.5GiB')).budget


@pytest.mark.parametrize(
    ('share', 'planned', 'expected'), [(None, [], 1.1), (1.1, [], 1.1), (1.3, [1.3], 1.3)]
)
def test_a_resumed_run_is_planned_anew_for_another_share_of_flops(
    plans, told, tmp_path, share, planned, expected
):
    before = fit_config(config(), FitRequest('3.5GiB', 1.1))
    plans.clear()
    after = fit_config(resumed(before, tmp_path), FitRequest('3.5GiB', share))
    assert [flops for _, flops, _ in plans] == planned
    assert after.fit['exact_flops'] == expected


def test_a_resumed_run_that_nothing_of_its_own_fits_is_planned_anew(plans, told, tmp_path):
    before = fit_config(config(), FitRequest('3.5GiB'))
    before = smaller(smaller(before))
    with pytest.raises(UserError, match='nothing fits'):
        fit_config(resumed(before, tmp_path), FitRequest('0.5GiB'))
    assert len(plans) == 2


def test_other_batches_are_planned_anew(plans, told, tmp_path):
    before = fit_config(config(), FitRequest('3.5GiB'))
    other = resumed(before, tmp_path, train_dataloader={'batch_size': 4})
    assert trains_by(fit_config(other, FitRequest('2.5GiB'))) == (*SECOND[:2], 0)
    assert plans[-1][2] == 'batch 4, crop 32x64, fp32'


def test_a_run_that_is_planned_anew_keeps_its_share_of_flops(plans, told, tmp_path):
    before = fit_config(config(), FitRequest('3.5GiB', 1.1))
    fit_config(resumed(before, tmp_path, train_dataloader={'batch_size': 1}), FitRequest('3.5GiB'))
    assert [flops for _, flops, _ in plans] == [1.1, 1.1]


def test_a_run_that_was_not_fitted_is_planned_when_it_is_resumed(plans, told, tmp_path):
    assert trains_by(fit_config(resumed(config(), tmp_path), FitRequest('3.5GiB'))) == FIRST
    assert 'fit' not in fit_config(resumed(config(), tmp_path), None)


def test_a_dumped_config_keeps_its_recipes_unless_its_model_was_edited(plans, told):
    dumped = Config.fromstring(fit_config(config(), FitRequest('3.5GiB')).pretty_text, '.py')
    assert trains_by(fit_config(dumped, None)) == FIRST
    dumped.model.backbone.cuts = ('layer3.0',)
    edited = fit_config(dumped, None)
    assert 'fit' not in edited
    assert edited.model.backbone.cuts == ('layer3.0',)


def test_a_share_of_flops_below_one_is_refused(plans):
    with pytest.raises(UserError, match=r'--fit-exact-flops 0.9 is below'):
        fit_config(config(), FitRequest('3GiB', 0.9))


def decide(fault):
    rank = dist.get_rank()
    if fault is None:
        return {'rank': rank}
    raise fault


def as_rank(folder):
    dist.init_process_group('gloo')
    rank = dist.get_rank()
    assert from_first_rank(lambda: decide(None)) == {'rank': 0}
    for fault, others in ((UserError('too small'), UserError), (KeyError('a bug'), RankError)):
        with pytest.raises(type(fault) if rank == 0 else others, match=fault.args[0]):
            from_first_rank(lambda fault=fault: decide(fault))
        (folder / f'{rank}_{type(fault).__name__}').touch()
    dist.destroy_process_group()


def test_all_ranks_take_what_the_first_one_decides(tmp_path):
    with socket.create_server(('localhost', 0)) as free:
        port = free.getsockname()[1]
    assert run_ranks(as_rank, 2, tmp_path, port=port) == [0, 0]
    assert len(list(tmp_path.iterdir())) == 4


def test_a_recipe_changes_only_a_copy(plans, told):
    own = config()
    text = own.pretty_text
    fitted = fit_config(own, FitRequest('9GiB'))
    with_fit(own, fitted.fit)
    assert own.pretty_text == text
    assert fitted.fit['chosen'] == 0
    smaller(fitted)
    assert fitted.fit['chosen'] == 0
