"""The planner as a command."""

import contextlib
import io
import itertools
import json
from pathlib import Path

import pytest
from mmengine import Config

from infopro_seg.config_files import load_config
from infopro_seg.errors import ConfigError, UserError
from infopro_seg.memory.planning import fit
from infopro_seg.memory.planning.command import PlanRequest, plan
from infopro_seg.memory.planning.fit import plan_to_fit
from infopro_seg.memory.planning.planner import Planner
from infopro_seg.memory.search.recipes import with_recipe
from infopro_seg.memory.tracing.training_setup import training_setup
from infopro_seg.memory.variants import stock_losses
from tests.memory.traces import trace_once
from tests.test_tools import call

ROOT = Path(__file__).parents[2]
DEMO = ROOT / 'configs/infopro_demo.py'
KEYS = {
    'recipe',
    'gradients',
    'modules',
    'cuts',
    'checkpoint',
    'peak_gib',
    'share_of_e2e',
    'flops_of_e2e',
    'fits',
}


@pytest.fixture(scope='module')
def planned(tmp_path_factory):
    """What tools/plan.py prints and writes."""
    folder = tmp_path_factory.mktemp('plan')
    files = {name: folder / name for name in ('plan.json', 'plan.png', 'mine.py')}
    options = ('--budget', '55MiB', '--modules', '1-2')
    outputs = ('--json', files['plan.json'], '--plot', files['plan.png'], '--write-config', files['mine.py'])
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(shown):
        assert call('plan.py', DEMO, *options, *outputs, monkeypatch=patch) == 0
    return shown.getvalue(), json.loads(files['plan.json'].read_text()), files


def test_table_and_json_tell_the_same(planned):
    text, rows, _ = planned
    assert all(set(row) >= KEYS for row in rows)
    names = [row['recipe'] for row in rows]
    assert names[0] == 'E2E, stock losses'
    assert {'E2E', 'E2E, 1 stage frozen', 'InfoPro* K=2'} <= {*names}
    assert len({*names}) == len(names)
    for row in rows:
        assert row['recipe'] in text
        assert row['fits'] == (row['peak_gib'] * 1024 <= 55)
        assert len(row['cuts']) == row['modules'] - 1
    assert rows[0]['share_of_e2e'] == pytest.approx(1, abs=1e-3)
    assert rows[0]['flops_of_e2e'] == 1


def test_recommends_the_exact_recipe_that_fits_beside_the_cheapest_local_one(planned):
    text, rows, _ = planned
    exact, local = (row for row in rows if row['recommended'] or row['cheapest_local'])
    assert (exact['recommended'], local['recommended']) == (True, False)
    assert (exact['gradients'], local['gradients']) == ('exact', 'local')
    fitting = [row for row in rows if row['fits']]
    for best in (exact, local):
        others = [row for row in fitting if row['gradients'] == best['gradients']]
        assert best['fits']
        assert best['traced']
        assert best['flops_of_e2e'] <= min(row['flops_of_e2e'] for row in others) + 0.01
    saved, flops = (exact[key] - local[key] for key in ('peak_gib', 'flops_of_e2e'))
    assert flops > 0
    change = 'save another' if saved > 0 else 'take'
    assert f'Exact gradients fit 55.0 MiB: {exact["recipe"]} takes' in text
    assert f'{local["recipe"]} would {change} {abs(saved) * 1024:.1f} MiB' in ' '.join(text.split())
    for row in (exact, local):
        assert f'cuts={tuple(row["cuts"])!r}' in text
        assert f'checkpoint={row["checkpoint"]!r}' in text


def test_exact_recipes_keep_to_their_limits_and_take_ever_fewer_bytes(planned):
    _, rows, _ = planned
    limits = {row['recipe']: row for row in rows if '(<= ' in row['recipe']}
    for name, row in limits.items():
        assert row['flops_of_e2e'] <= float(name.split('<= ')[1].rstrip(')')) + 1e-4
    exact = [
        row['peak_gib'] for row in rows if row['gradients'] == 'exact' and row['recipe'] != rows[0]['recipe']
    ]
    assert len({*exact}) == len(exact)
    assert [row['frozen_stages'] for row in rows if row['gradients'] == 'frozen'] == [1, 2, 3]
    assert {row['accuracy'] for row in rows} == {'as E2E', None}


def test_predictions_agree_with_complete_traces(planned):
    """Rows that were not traced: here they are."""
    _, rows, _ = planned
    predicted = [row for row in rows if not row['traced']]
    assert len(predicted) > 2
    for row in predicted:
        config = Config.fromfile(DEMO)
        options = {key: row[key] for key in ('checkpoint', 'checkpoint_heads')}
        config.model.backbone.update(cuts=tuple(row['cuts']), **options)
        if not row['cuts']:
            config.model.backbone.local_head = None
        trace = trace_once(config, 4, (96, 192))
        assert row['peak_gib'] == pytest.approx(trace.peak / 2**30, rel=0.002)


def test_written_config_gives_the_predicted_peak(planned):
    _, rows, files = planned
    (best,) = [row for row in rows if row['recommended']]
    config = Config.fromfile(files['mine.py'])
    trace = trace_once(config, config.train_dataloader.batch_size, config.model.data_preprocessor.size)
    assert trace.peak / 2**30 == pytest.approx(best['peak_gib'], abs=1e-4)


def test_the_exact_recipe_is_named_whatever_numbers_of_modules_are_asked_for():
    config = load_config(DEMO)
    plans = [Planner(config, training_setup(config)).plan(modules, 55 * 2**20) for modules in ([1, 2], [2])]
    assert plans[0].exact == plans[1].exact is not None


def test_plots(planned):
    _, _, files = planned
    assert files['plan.png'].read_bytes().startswith(b'\x89PNG')


def test_nothing_fits(capsys):
    assert plan(PlanRequest(DEMO, budget='48MiB', modules='1')) == 1
    text = capsys.readouterr().out
    for word in ('Nothing fits', 'smallest peak found is', 'bound by module'):
        assert word in text


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        (
            {'budget': '1MiB'},
            UserError,
            r'budget 1\.0 MiB is below what parameters, .* need alone, \d+\.\d MiB',
        ),
        ({'budget': 'eleven'}, UserError, "cannot read the budget 'eleven'.*11GiB"),
        ({'budget': '11'}, UserError, "cannot read the budget '11'"),
        ({'budget': '-3GiB'}, UserError, 'positive number with its unit'),
        ({'modules': '0-3'}, UserError, 'e.g. 4, 1-8 or'),
        ({'modules': '5-3'}, UserError, 'numbers of modules'),
        ({'modules': '64'}, ConfigError, '64 local modules, but the encoder has 9 blocks'),
        ({'max_crop': True}, UserError, '--max-crop needs a budget'),
        ({'batch': 0}, UserError, 'a step of 0 images.*1 or more'),
        ({'crop': (0, 64)}, UserError, '0x64 pixels.*1 or more'),
        ({'max_batch': True}, UserError, '--max-batch needs a budget'),
        ({'plot': Path('x.xyz')}, UserError, r'x.xyz: not a picture.*\.png'),
        ({'budget': '60MiB', 'write_config': Path('x.txt')}, UserError, r'end it in \.py'),
        ({'budget': '60MiB', 'write_config': DEMO}, UserError, 'the config itself'),
        ({'json': ROOT}, UserError, 'is a folder'),
        ({'json': DEMO / 'x.json'}, UserError, 'is a file'),
        ({'config': ROOT / 'configs/none.py'}, ConfigError, 'no config'),
    ],
)
def test_bad_input(changes, error, message):
    with pytest.raises(error, match=message):
        plan(PlanRequest(**{'config': DEMO, **changes}))


def test_config_without_infopro(tmp_path):
    config = Config.fromfile(DEMO)
    config.model.backbone = config.model.backbone.encoder
    config.dump(tmp_path / 'plain.py')
    with pytest.raises(ConfigError, match=r"backbone 'ResNetV1c', not an InfoProBackbone.*wrap it"):
        plan(PlanRequest(tmp_path / 'plain.py'))


@pytest.mark.parametrize(('exact_flops', 'gradients'), [(1.2, 'exact'), (0.9, 'local')])
def test_a_training_that_fits_gets_ever_smaller_recipes(exact_flops, gradients):
    config = load_config(DEMO)
    budget = 62 * 2**20
    planned_fit = plan_to_fit(config, budget, exact_flops, retries=1)
    assert planned_fit.recipes[0].gradients == gradients
    assert planned_fit.recipes[0].peak <= budget
    for recipe, smaller in itertools.pairwise(planned_fit.recipes):
        assert smaller.peak <= 0.9 * recipe.peak
    for recipe in planned_fit.recipes:
        made = with_recipe(config, recipe)
        assert trace_once(made, 4, (96, 192)).peak == recipe.peak
        assert made.train_dataloader == config.train_dataloader
    verdict, chosen = planned_fit.lines()
    assert verdict.startswith('Exact gradients fit 62.0 MiB: ')
    assert chosen.startswith(f'Training with {planned_fit.recipes[0].name}: cuts=')


@pytest.mark.parametrize(
    ('crop', 'text', 'instead'),
    [
        (None, 'no crop would fit', 'a smaller model or an optimizer whose step needs less memory'),
        ((64, 128), 'a crop of 64x128 would fit with it', 'a smaller batch or crop'),
    ],
)
def test_a_training_that_cannot_fit_says_what_bounds_it_and_which_crop_would(
    monkeypatch, crop, text, instead
):
    monkeypatch.setattr(fit, 'largest_crop', lambda *args: crop)
    message = (
        rf'no recipe fits 40\.0 MiB for batch 4, .* InfoPro .*, bound by the optimizer.s step; {text}\. '
        f'Give a larger budget, or {instead}$'
    )
    with pytest.raises(UserError, match=message):
        plan_to_fit(load_config(DEMO), 40 * 2**20)


def test_the_reference_has_stock_losses_and_recomputes_nothing():
    lean = {'type': 'LeanCrossEntropyLoss', 'loss_weight': 0.4}
    model = {
        'backbone': {'checkpoint_heads': True, 'local_head': {'auxiliary_head': {'loss_decode': lean}}},
        'auxiliary_head': [{'loss_decode': [lean]}],
    }
    stock = {'type': 'CrossEntropyLoss', 'loss_weight': 0.4}
    assert stock_losses(Config({'model': model})) == {
        'model': {
            'backbone': {'local_head': {'auxiliary_head': {'loss_decode': stock}}},
            'auxiliary_head': [{'loss_decode': [stock]}],
        }
    }


def test_more_modules_have_a_row_for_a_limit_only_where_they_need_fewer_bytes():
    config = load_config(DEMO)
    planner = Planner(config, training_setup(config))
    rows = planner.plan(range(2, 6)).recipes
    shown = []  # a recipe has one row, at the smallest limit
    for limit in ('1.02', '1.1'):
        peaks = [row.peak for row in rows if row.name.endswith(f'(<= {limit})')]
        searched = [planner.below(count, float(limit)) for count in range(2, 6)]
        fewest = itertools.accumulate(searched, lambda best, one: one if one.peak < best.peak else best)
        ways = {(recipe.cuts, recipe.recompute): recipe.peak for recipe in fewest}
        assert peaks == [peak for way, peak in ways.items() if way not in shown]
        shown += ways
