import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine import Config

from infopro_seg.errors import ConfigError, UserError
from infopro_seg.measure_process import main
from infopro_seg.memory.measuring.benchmark import BenchmarkRequest, benchmark, markdown
from infopro_seg.memory.measuring.measure import CROP_STEP, Trial, largest_crop, live_peak
from infopro_seg.memory.search import recipe_search
from infopro_seg.memory.tracing.training_setup import TrainingSetup
from tests.memory.traces import trace_once
from tests.runs import DEMO
from tests.stand_ins import model_config

CROP = (64, 64)


def config_with(**backbone):
    model = model_config()
    model['backbone'].update(backbone)
    sgd = {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9}
    return Config({'model': model, 'optim_wrapper': {'type': 'OptimWrapper', 'optimizer': sgd}})


@pytest.fixture
def started(monkeypatch):
    """The processes that measure; only the first is a real one, as each imports mmseg for seconds."""
    commands, start = [], subprocess.run

    def run(command, **kwargs):
        commands.append(command)
        return start(command, **kwargs) if len(commands) == 1 else main(Path(command[-1]))

    monkeypatch.setattr('infopro_seg.memory.measuring.benchmark.subprocess.run', run)
    return commands


def test_every_recipe_is_measured_beside_its_prediction(tmp_path, started, monkeypatch):
    monkeypatch.setattr(recipe_search, 'POLICIES', ('none', 'blocks'))  # less to measure
    config = tmp_path / 'config.py'
    config_with(cuts=()).dump(config)
    rows = benchmark(BenchmarkRequest(config, tmp_path, batch=2, crop=CROP, modules='2', iterations=1))
    content = json.loads((tmp_path / 'results.json').read_text())
    assert content['recipes'] == rows
    names = [row['recipe'] for row in rows]
    assert names[:2] == ['E2E, stock losses', 'InfoPro* K=2']
    assert len({*names}) == len(names) > 2
    assert [command[3:5] for command in started] == [['-m', 'infopro_seg.measure_process']] * len(rows)
    table = (tmp_path / 'results.md').read_text().splitlines()
    head, cells = table[2], [line.strip('| ').split(' | ') for line in table[-len(rows) :]]
    assert head.startswith('| recipe | predicted peak MiB | peak alive MiB, measured | of predicted |')
    for row, (name, predicted, alive, *_) in zip(rows, cells, strict=True):
        measured = row['measured']
        assert measured['images_per_second'] == pytest.approx(2 / measured['seconds'])
        assert measured['live_bytes'] / 2**30 == pytest.approx(row['peak_gib'], rel=0.02)  # ignored labels
        assert name == row['recipe']
        assert float(predicted) == pytest.approx(row['peak_gib'] * 1024, abs=0.2)  # of rounded GiB
        assert float(alive) == pytest.approx(measured['live_bytes'] / 2**20, abs=0.051)
    assert (tmp_path / 'results.png').read_bytes().startswith(b'\x89PNG')


def test_what_was_measured_before_an_interrupt_is_kept(tmp_path, monkeypatch):
    found = iter(
        [{'live_bytes': 2**20, 'seconds': 2, 'seconds_min': 1, 'seconds_max': 3, 'images_per_second': 1}]
    )

    def measure(*args):
        if (measured := next(found, None)) is None:
            raise KeyboardInterrupt
        return measured

    monkeypatch.setattr('infopro_seg.memory.measuring.benchmark._measure', measure)
    config = tmp_path / 'config.py'
    config_with(cuts=()).dump(config)
    with pytest.raises(KeyboardInterrupt):
        benchmark(BenchmarkRequest(config, tmp_path, batch=2, crop=CROP, modules='1', iterations=1))
    [row] = json.loads((tmp_path / 'results.json').read_text())['recipes']
    assert row['recipe'] == 'E2E'
    assert row['measured']['live_bytes'] == 2**20
    assert '2.000 (1.000-3.000)' in (tmp_path / 'results.md').read_text()


@pytest.mark.parametrize(
    ('cuts', 'checkpoint', 'accumulation'),
    [
        ((), 'none', 1),
        (('layer2.0', 'layer3.1'), 'norms', 1),
        (('layer4.0',), 'expansions', 1),
        (('layer2.0', 'layer3.1'), 'blocks', 2),
    ],
)
def test_live_bytes_of_a_real_step_are_those_of_its_trace(cuts, checkpoint, accumulation):
    heads = config_with().model.backbone.local_head if cuts else None
    config = config_with(cuts=cuts, checkpoint=checkpoint, local_head=heads)
    trial = Trial(config, TrainingSetup(2, CROP, accumulation=accumulation))
    for sample in trial.data['data_samples']:
        sample.gt_sem_seg.data.clamp_(max=1)  # none to ignore; a trace counts them all
    trial.warm_up()
    assert live_peak(trial) == trace_once(config, 2, CROP, accumulation=accumulation).peak


def test_without_an_optimizer_it_is_the_one_of_the_planner():
    config = config_with()
    config.optim_wrapper = None
    optimizer = Trial(config, TrainingSetup(2, CROP)).optim_wrapper.optimizer
    assert (type(optimizer), optimizer.defaults['momentum']) == (torch.optim.SGD, 0.9)


def test_a_process_measures_the_setup_that_it_is_asked_for(tmp_path):
    config_with().dump(tmp_path / 'config.py')
    peaks = []
    for accumulation in (1, 2):
        setup = TrainingSetup(2, CROP, accumulation=accumulation)
        asked = {'config': str(tmp_path / 'config.py'), 'setup': asdict(setup), 'iterations': 1}
        (tmp_path / 'request.json').write_text(json.dumps({**asked, 'budget': None}))
        main(tmp_path / 'request.json')
        answer = json.loads((tmp_path / 'request.answer.json').read_text())
        assert answer['iterations'] == accumulation
        peaks.append(answer['live_bytes'])
    traced = [trace_once(config_with(), 2, CROP, accumulation=count).peak for count in (1, 2)]
    assert peaks[1] - peaks[0] == pytest.approx(traced[1] - traced[0], rel=0.02)


@pytest.mark.parametrize('full', [torch.OutOfMemoryError('full'), RuntimeError('CUBLAS_STATUS_ALLOC_FAILED')])
def test_crops_that_do_not_fit_are_told_from_other_failures(monkeypatch, full):
    limits = []
    monkeypatch.setattr(torch.cuda, 'get_device_properties', lambda index: SimpleNamespace(total_memory=100))
    monkeypatch.setattr(torch.cuda, 'set_per_process_memory_fraction', limits.append)
    tried = []

    def trial(cfg, setup):
        tried.append(setup)
        if setup.crop[0] > 3 * CROP_STEP:
            raise full
        return SimpleNamespace(warm_up=lambda: None, seconds=lambda count: [])

    monkeypatch.setattr('infopro_seg.memory.measuring.measure.Trial', trial)
    setup = TrainingSetup(2, CROP, 'bf16', accumulation=3)
    assert largest_crop(None, setup, 50) == (3 * CROP_STEP, 6 * CROP_STEP)
    assert limits == [0.5]
    assert {(one.batch, one.amp, one.accumulation) for one in tried} == {(2, 'bf16', 3)}
    full.args = ('no kernel image',)
    if type(full) is RuntimeError:
        with pytest.raises(RuntimeError, match='no kernel image'):
            largest_crop(None, setup, 50)


def test_tables_of_a_gpu():
    def row(name, **measured):
        return {'recipe': name, 'peak_gib': 2.0, 'measured': measured}

    times = {'seconds': 0.5, 'seconds_min': 0.4, 'seconds_max': 0.7, 'images_per_second': 8.0}
    memory = {'allocated_bytes': 2.5 * 2**30, 'reserved_bytes': 3 * 2**30}
    text = markdown({'torch': '2'}, [row('A', **times, **memory), row('B', error='out of memory')])
    assert text.splitlines() == [
        'torch: 2',
        '',
        '| recipe | predicted peak GiB | peak allocated GiB, measured | peak reserved GiB, measured '
        '| of predicted | s per iteration | images per s |',
        '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
        '| A | 2.00 | 2.50 | 3.00 | 1.250 | 0.500 (0.400-0.700) | 8.00 |',
        '| B | 2.00 | out of memory |  |  |  |  |',
    ]
    crops = markdown({}, [row('A', max_crop=[512, 1024]), row('B', max_crop=None)]).splitlines()
    assert crops[2:] == [
        '| recipe | predicted peak GiB | largest crop, measured |',
        '| --- | ---: | ---: |',
        '| A | 2.00 | 512x1024 |',
        '| B | 2.00 | none |',
    ]


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        ({'iterations': 0}, UserError, 'iterations is 0'),
        ({'max_crop': '11GiB'}, UserError, 'there is no GPU'),
        ({'batch': 0}, UserError, '0'),
        ({'modules': '0'}, UserError, 'e.g. 4, 1-8 or'),
        ({'out': DEMO / 'results'}, UserError, 'cannot write to --out .*results'),
        ({'config': DEMO.with_name('deeplabv3_none.py')}, ConfigError, 'no config'),
    ],
)
def test_bad_input(tmp_path, change, error, message):
    if 'max_crop' in change and torch.cuda.is_available():
        pytest.skip('needs a machine without a GPU')
    with pytest.raises(error, match=message):
        benchmark(BenchmarkRequest(**{'config': Path(DEMO), 'out': tmp_path, **change}))
