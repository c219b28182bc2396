"""Plans of configs without local heads, such as the shipped end-to-end ones."""

import pytest

from infopro_seg.config_files import load_config
from infopro_seg.errors import ConfigError, UserError
from infopro_seg.memory.planning.command import PlanRequest, plan
from infopro_seg.memory.planning.fit import plan_to_fit
from infopro_seg.memory.planning.plan import exact_only
from infopro_seg.memory.planning.planner import Planner
from infopro_seg.memory.tracing.training_setup import training_setup
from tests.memory.test_plan import DEMO

EXACT_ONLY = (
    'no local head, so only exact recipes were tried. To try local ones, give the backbone a local_head'
)
WITH_CUTS = {'model.backbone.local_head': None}
HEADLESS = {'model.backbone.cuts': (), 'model.backbone.local_head': None}


def planner(options=None):
    config = load_config(DEMO, options)
    return Planner(config, training_setup(config))


def test_the_exact_recipes_are_those_that_the_config_with_local_heads_has():
    headless = planner(HEADLESS).plan()
    exact = [recipe for recipe in planner().plan([1]).recipes if recipe.gradients != 'local']
    assert list(headless.recipes) == exact
    assert len(exact) > 2


@pytest.mark.parametrize('budget', [None, '70MiB', '48MiB'])
def test_the_plan_says_how_to_get_local_recipes(budget, capsys):
    status = plan(PlanRequest(DEMO, budget=budget, options=HEADLESS))
    shown = capsys.readouterr().out
    assert status == (budget == '48MiB')
    assert f'{EXACT_ONLY}, e.g. that of configs/_base_/local_heads/lean.py.' in ' '.join(shown.split())
    assert ('Recommended: E2E' in shown) == (budget == '70MiB')
    plan(PlanRequest(DEMO, budget=budget, modules='1'))
    assert 'no local head' not in capsys.readouterr().out


def test_several_modules_alone_are_an_error():
    with pytest.raises(ConfigError, match='2 local modules need local heads; give the backbone a local_head'):
        plan(PlanRequest(DEMO, modules='2-4', options=HEADLESS))


def test_fit_trains_an_exact_recipe_or_says_what_is_missing():
    config = load_config(DEMO, HEADLESS)
    recipes = plan_to_fit(config, 62 * 2**20, retries=1).recipes
    assert {recipe.gradients for recipe in recipes} == {'exact'}
    assert recipes[0].peak <= 62 * 2**20
    with pytest.raises(UserError, match=f'no recipe fits 45.*{EXACT_ONLY}, e.g. that of .*/lean.py$'):
        plan_to_fit(config, 45 * 2**20)


def test_cuts_without_local_heads_are_an_error():
    words = r"the cuts \('layer1.1', .* need local heads; .*leave out the cuts"
    with pytest.raises(ConfigError, match=words):
        plan(PlanRequest(DEMO, options=WITH_CUTS))
    with pytest.raises(ConfigError, match=words):
        plan_to_fit(load_config(DEMO, WITH_CUTS), 2**30)


def test_a_backbone_that_trains_one_module_has_no_recipes():
    options = {'model.backbone.type': 'InfoProStageBackbone', 'model.backbone.stage': 1}
    with pytest.raises(ConfigError, match=r'trains only module 1, .*leave out stage'):
        planner(options).plan([1])


def test_a_classifier_is_pointed_to_a_head_of_classifiers():
    cfg = {'model': {'type': 'InfoProImageClassifier', 'backbone': {}}}
    assert exact_only(cfg).endswith('configs/_base_/classification/local_heads/softmax.py')
