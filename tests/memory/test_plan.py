"""The planner as a command."""

import contextlib
import io
import json
from pathlib import Path

import pytest
from mmengine import Config

from infopro_seg.config_files import load_config
from infopro_seg.errors import ConfigError, UserError
from infopro_seg.memory import max_crop, planner
from infopro_seg.memory.command import PlanRequest, plan
from infopro_seg.memory.costs import PLAIN
from infopro_seg.memory.plan import Plan
from infopro_seg.memory.planned_config import write_config
from infopro_seg.memory.planner import profile_at
from infopro_seg.memory.quantities import parse_bytes, parse_range
from infopro_seg.memory.recipes import Recipe
from infopro_seg.memory.report import config_lines
from infopro_seg.memory.training_setup import TrainingSetup, training_setup
from infopro_seg.memory.variants import stock_losses, without_cuts
from tests.memory.traces import as_plain, trace_once
from tests.test_tools import call

ROOT = Path(__file__).parents[2]
DEMO = ROOT / 'configs/infopro_demo.py'
KEYS = {'recipe', 'modules', 'cuts', 'checkpointed', 'peak_gib', 'share_of_e2e', 'flops_of_e2e', 'fits'}


@pytest.fixture(scope='module', autouse=True)
def _chains_once():
    """Plans of the demo start from the same measurements of its blocks; each is made once."""
    known = {}

    def profile_once(cfg, setup, heads_recomputed, crop=None, blocks_of=None):
        key = repr((as_plain(cfg), setup, heads_recomputed, crop))
        if key not in known:
            known[key] = profile_at(cfg, setup, heads_recomputed, crop, blocks_of)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in (planner, max_crop):
            patch.setattr(module, 'profile_at', profile_once)
        yield


@pytest.fixture(scope='module')
def planned(tmp_path_factory):
    """What tools/plan.py prints and writes."""
    folder = tmp_path_factory.mktemp('plan')
    files = {name: folder / name for name in ('plan.json', 'plan.png', 'mine.py')}
    options = ('--budget', '60MiB', '--modules', '1-3', '--max-crop')
    outputs = ('--json', files['plan.json'], '--plot', files['plan.png'], '--write-config', files['mine.py'])
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(shown):
        assert call('plan.py', DEMO, *options, *outputs, monkeypatch=patch) == 0
    return shown.getvalue(), json.loads(files['plan.json'].read_text()), files


def test_table_and_json_tell_the_same(planned):
    text, rows, _ = planned
    assert all(set(row) >= KEYS for row in rows)
    names = [row['recipe'] for row in rows]
    assert names[:3] == ['E2E, stock losses', 'E2E', 'E2E + checkpointing']
    assert names[3:5] == ['InfoPro* K=2', 'InfoPro* K=2 + checkpointing']
    for row in rows:
        assert row['recipe'] in text
        assert row['fits'] == (row['peak_gib'] * 1024 <= 60)
        assert len(row['cuts']) == row['modules'] - 1
    assert rows[0]['share_of_e2e'] == pytest.approx(1, abs=1e-3)
    assert rows[0]['flops_of_e2e'] == 1


def test_recommends_the_fewest_flops_that_fit(planned):
    _, rows, _ = planned
    (best,) = [row for row in rows if row['recommended']]
    assert best['fits']
    assert best['flops_of_e2e'] <= min(row['flops_of_e2e'] for row in rows if row['fits']) + 0.005


@pytest.mark.parametrize('name', ['E2E, stock losses', 'InfoPro* K=2'])
def test_max_crops_are_the_largest_multiples_of_64(planned, name):
    _, rows, _ = planned
    row = next(row for row in rows if row['recipe'] == name)
    height, width = row['max_crop']
    assert width == 2 * height
    assert height % 64 == 0
    config = Config.fromfile(DEMO)
    config.model.backbone.cuts = tuple(row['cuts'])
    if not row['cuts']:
        config = stock_losses(without_cuts(config))
    peaks = [trace_once(config, 4, (size, 2 * size)).peak / 2**20 for size in (height, height + 64)]
    assert peaks[0] <= 60 < peaks[1]


def test_written_config_gives_the_predicted_peak(planned):
    _, rows, files = planned
    (best,) = [row for row in rows if row['recommended']]
    config = Config.fromfile(files['mine.py'])
    trace = trace_once(config, config.train_dataloader.batch_size, config.model.data_preprocessor.size)
    assert trace.peak / 2**30 == pytest.approx(best['peak_gib'], abs=1e-4)


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
            r'budget 1\.0 MiB is below what parameters, .* take alone, \d+\.\d MiB',
        ),
        ({'budget': 'eleven'}, UserError, "cannot read the budget 'eleven'.*11GiB"),
        ({'budget': '11'}, UserError, "cannot read the budget '11'"),
        ({'budget': '-3GiB'}, UserError, 'positive number with its unit'),
        ({'modules': '0-3'}, UserError, 'from 1 on'),
        ({'modules': '5-3'}, UserError, 'numbers of modules'),
        ({'modules': '64'}, ConfigError, '64 local modules, but the encoder has 9 blocks'),
        ({'max_crop': True}, UserError, '--max-crop needs a budget'),
        ({'batch': 0}, UserError, 'a step of 0 images.*from 1 on'),
        ({'crop': (0, 64)}, UserError, '0x64 pixels.*from 1 on'),
        (
            {'budget': '60MiB', 'max_crop': True, 'crop': (16, 32)},
            UserError,
            '16x32 is too small.*--crop 64 128',
        ),
        ({'plot': Path('x.xyz')}, UserError, r'x.xyz: cannot draw.*\.png'),
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


@pytest.mark.parametrize(
    ('text', 'size'),
    [('11GiB', 11 * 2**30), ('11 gb', 11 * 10**9), ('0.5g', 5 * 10**8), ('10MiB', 10 * 2**20)],
)
def test_budgets(text, size):
    assert parse_bytes(text) == size


def test_ranges():
    assert list(parse_range('1-3')) == [1, 2, 3]
    assert list(parse_range('4')) == [4]


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
