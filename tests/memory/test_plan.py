"""The planner as a command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine import Config

from infopro_seg.errors import ConfigError, UserError
from infopro_seg.memory import trace_step
from infopro_seg.memory.command import Request, plan_command
from infopro_seg.memory.planner import stock_losses
from infopro_seg.memory.units import parse_bytes, parse_range

ROOT = Path(__file__).parents[2]
DEMO = ROOT / 'configs/infopro_demo.py'
KEYS = {'recipe', 'modules', 'cuts', 'checkpointed', 'peak_gib', 'share_of_e2e', 'flops_of_e2e', 'fits'}


def run(*args):
    return subprocess.run(
        [sys.executable, str(ROOT / 'tools/plan.py'), *map(str, args)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        check=False,
    )


@pytest.fixture(scope='module')
def planned(tmp_path_factory):
    folder = tmp_path_factory.mktemp('plan')
    files = {name: folder / name for name in ('plan.json', 'plan.png', 'mine.py')}
    options = ('--budget', '60MiB', '--modules', '1-3', '--max-crop')
    outputs = ('--json', files['plan.json'], '--plot', files['plan.png'], '--write-config', files['mine.py'])
    result = run(DEMO, *options, *outputs)
    assert result.returncode == 0, result.stderr
    return result.stdout, json.loads(files['plan.json'].read_text()), files


def test_table_and_json_tell_the_same(planned):
    text, rows, _ = planned
    assert all(set(row) >= KEYS for row in rows)
    names = [row['recipe'] for row in rows]
    assert names[:4] == ['E2E', 'E2E + checkpointing', 'InfoPro* K=2', 'InfoPro* K=2 + checkpointing']
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


def test_max_crops_are_the_largest_multiples_of_64(planned):
    _, rows, _ = planned
    row = next(row for row in rows if row['recipe'] == 'InfoPro* K=2')
    height, width = row['max_crop']
    assert width == 2 * height
    assert height % 64 == 0
    config = Config.fromfile(DEMO)
    config.model.backbone.cuts = tuple(row['cuts'])
    peaks = [trace_step(config, 4, (size, 2 * size)).peak / 2**20 for size in (height, height + 64)]
    assert peaks[0] <= 60 < peaks[1]


def test_written_config_gives_the_predicted_peak(planned):
    _, rows, files = planned
    (best,) = [row for row in rows if row['recommended']]
    config = Config.fromfile(files['mine.py'])
    trace = trace_step(config, config.train_dataloader.batch_size, config.model.data_preprocessor.size)
    assert trace.peak / 2**30 == pytest.approx(best['peak_gib'], abs=1e-4)


def test_plots(planned):
    _, _, files = planned
    assert files['plan.png'].read_bytes().startswith(b'\x89PNG')


def test_help_needs_no_torch():
    code = (
        'import runpy, sys; sys.argv = ["plan.py", "--help"]\n'
        'try: runpy.run_path("tools/plan.py", run_name="__main__")\n'
        'except SystemExit: pass\n'
        'sys.exit(any(name in sys.modules for name in ("torch", "mmseg")))'
    )
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert result.returncode == 0, result.stderr
    assert '--max-crop' in result.stdout


def test_nothing_fits(capsys):
    assert plan_command(Request(DEMO, budget='48MiB', modules='1-2')) == 1
    text = capsys.readouterr().out
    for word in ('Nothing fits', 'smallest peak found is', 'bound by module'):
        assert word in text


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        ({'budget': '1MiB'}, UserError, 'below what parameters, gradients and optimizer state take'),
        ({'budget': 'eleven'}, UserError, "cannot read the budget 'eleven'.*11GiB"),
        ({'budget': '11'}, UserError, "cannot read the budget '11'"),
        ({'budget': '-3GiB'}, UserError, 'positive number with its unit'),
        ({'modules': '0-3'}, UserError, 'from 1 on'),
        ({'modules': '5-3'}, UserError, 'numbers of modules'),
        ({'modules': '64'}, ConfigError, '64 local modules, but the encoder has 9 blocks'),
        ({'max_crop': True}, UserError, '--max-crop needs a budget'),
        ({'batch': 0}, UserError, 'from 1 on'),
        ({'config': ROOT / 'configs/none.py'}, ConfigError, 'no config'),
    ],
)
def test_bad_input(changes, error, message):
    with pytest.raises(error, match=message):
        plan_command(Request(**{'config': DEMO, **changes}))


def test_config_without_infopro(tmp_path):
    config = Config.fromfile(DEMO)
    config.model.backbone = config.model.backbone.encoder
    config.dump(tmp_path / 'plain.py')
    with pytest.raises(ConfigError, match=r"backbone 'ResNetV1c', not an InfoProBackbone.*wrap it"):
        plan_command(Request(tmp_path / 'plain.py'))


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
