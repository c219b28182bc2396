"""tools/compare.py as a command, on a suite of two iterations.

One test starts Python anew for the command and its training; elsewhere both are copies of this process, as
importing mmseg takes longer than all that they do.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from mmengine.config import Config

from infopro_seg.cli import INTERRUPTED
from infopro_seg.comparison import trainings
from infopro_seg.comparison.command import CompareRequest, compare
from infopro_seg.comparison.results import read_scalars
from infopro_seg.comparison.suite import Run
from infopro_seg.errors import UserError
from infopro_seg.memory.planning.turn_plans import plan_turns
from tests.comparison.small_suite import ITERATIONS, call, command, trace_here, write_suite
from tests.runs import ROOT, read_png

CHOICE = ('--methods', 'e2e', 'greedy', '--modules', '2', '--jobs', '2')


@pytest.fixture(scope='module')
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp('compare')
    suite = write_suite(folder)
    trace_here(folder, suite, Run('e2e', 1, 0), Run('greedy', 2, 0))
    done = call(folder / 'out', suite, *CHOICE)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_the_results_are_those_of_the_runs(compared):
    folder, done = compared
    assert 'Init' not in done.stdout + done.stderr  # a line for each weight
    results = json.loads((folder / 'out' / 'results.json').read_text())
    for run, (method, modules) in zip(results['runs'], [('e2e', 1), ('greedy', 2)], strict=True):
        work_dir = folder / 'out' / 'runs' / f'{method}_k{modules}_seed0'
        metrics = json.loads((work_dir / 'metrics.json').read_text())
        assert (run['method'], run['modules'], run['seed']) == (method, modules, 0)
        assert (run['mIoU'], run['IoU']) == (metrics['mIoU'], metrics['IoU'])
        assert [step for step, _ in run['curve']] == [1, 2]
        trained = Config.fromfile(str(work_dir / f'{work_dir.name}.py'))  # as the run has written it
        assert run['traced']['cuts'] == list(trained.model.backbone.get('cuts') or ())
        assert len(run['traced']['cuts']) == modules - 1
        assert run['curve'][-1][1] == pytest.approx(run['mIoU'], abs=1e-4)
    table = (folder / 'out' / 'table.md').read_text()
    assert table.count('| e2e | 1 |') == table.count('| greedy | 2 |') == 1
    for picture in ('curves.png', 'memory.png', 'panel.png'):
        assert read_png(folder / 'out' / picture).std() > 0


def test_all_methods_see_the_same_images_in_the_same_order(compared):
    folder, _ = compared
    first, second = (
        (folder / 'out' / 'runs' / f'{name}_seed0' / 'batches').read_text().splitlines()
        for name in ('e2e_k1', 'greedy_k2')
    )
    assert first == second
    assert len(set(first)) == len(first) == ITERATIONS


def test_all_methods_start_from_the_same_network(compared):
    folder, _ = compared
    initial = torch.load(folder / 'out' / 'initial_seed0.pth')['state_dict']
    assert {'backbone.stem.0.weight', 'backbone.layer3.5.conv2.weight', 'decode_head.conv_seg.weight'} < set(
        initial
    )
    for name in ('e2e_k1_seed0', 'greedy_k2_seed0'):
        start = torch.load(folder / 'out' / 'runs' / name / 'start.pth')
        local = {key for key in start if key.startswith('backbone.local_heads')}
        assert start.keys() - local == initial.keys()
        assert bool(local) == (name == 'greedy_k2_seed0')
        assert all(torch.equal(start[key], value) for key, value in initial.items())


@pytest.fixture
def _numbers_only(monkeypatch):
    """Without the pictures of the comparison, see the first test."""
    for picture in ('plot_curves', 'plot_memory', 'draw_comparison'):
        monkeypatch.setattr(f'infopro_seg.comparison.command.{picture}', lambda *_: None)


@pytest.mark.usefixtures('_numbers_only')
def test_stages_are_one_run_on_the_same_images(compared, tmp_path):
    folder, _ = compared
    out = tmp_path / 'out'
    shutil.copytree(folder / 'out', out, ignore=shutil.ignore_patterns('greedy*'))
    choice = ('--methods', 'infopro_async', '--modules', '2')
    trace_here(tmp_path, folder / 'suite_2.py', Run('infopro_async', 2, 0))
    run = out / 'runs' / 'infopro_async_k2_seed0'
    done = call(out, folder / 'suite_2.py', *choice)
    assert done.returncode == 0, done.stderr
    parts = [run / 'stage_0', run / 'stage_1']
    first, last = (json.loads((part / 'metrics.json').read_text()) for part in parts)
    found = json.loads((out / 'results.json').read_text())['runs'][1]
    assert (found['mIoU'], found['IoU']) == (last['mIoU'], last['IoU'])
    assert first['mIoU'] is None
    assert [step for step, _ in found['curve']] == [1, 2]
    peaks = [metrics['peak_memory']['resident_bytes'] for metrics in (first, last)]
    assert found['measured'] == {'device': 'cpu', 'resident_bytes': max(peaks)}
    seconds = [statistics.median(e['time'] for e in read_scalars(part) if 'loss' in e) for part in parts]
    assert found['seconds_per_iteration'] == pytest.approx(sum(seconds))
    config = Config.fromfile(out / 'configs' / f'{run.name}.py')
    plans = [plan.trace for plan in plan_turns(config)[2:]]
    assert found['traced']['peak_bytes'] == max(plan.peak for plan in plans)
    assert found['traced']['flops'] == sum(plan.flops for plan in plans)
    assert found['traced']['cuts'] == list(config.model.backbone.cuts)
    assert '| infopro_async | 2 |' in (out / 'table.md').read_text()
    assert 'Trained in stages' in (out / 'table.md').read_text()
    initial = torch.load(out / 'initial_seed0.pth')['state_dict']
    start = torch.load(parts[0] / 'start.pth')
    assert all(torch.equal(start[key], value) for key, value in initial.items())
    for part in parts:
        order = (out / 'runs' / 'e2e_k1_seed0' / 'batches').read_text()
        assert (part / 'batches').read_text() == order
    (parts[1] / 'metrics.json').unlink()  # as if it were stopped in its last stage
    stamp = (parts[0] / 'metrics.json').stat().st_mtime_ns
    done = call(out, folder / 'suite_2.py', *choice)
    assert done.returncode == 0, done.stderr
    assert 'stage 0 is finished' in (run / 'train.log').read_text()
    assert (parts[0] / 'metrics.json').stat().st_mtime_ns == stamp
    resumed = json.loads((out / 'results.json').read_text())['runs'][1]
    assert resumed['mIoU'] == found['mIoU']
    assert resumed['measured'] == {
        'device': 'cpu',
        'resident_bytes': peaks[0],
    }  # the last had no iteration left
    (parts[0] / 'metrics.json').unlink()
    request = CompareRequest(folder / 'suite_2.py', out, report_only=True)
    assert compare(request, lambda line: None) == 0
    assert [run['method'] for run in json.loads((out / 'results.json').read_text())['runs']] == ['e2e']


def test_finished_runs_are_kept_and_a_broken_one_is_resumed(compared):
    folder, _ = compared
    out = folder / 'out'
    before = json.loads((out / 'results.json').read_text())['runs']
    kept, broken = (out / 'runs' / name for name in ('e2e_k1_seed0', 'greedy_k2_seed0'))
    (broken / 'metrics.json').unlink()
    [first] = broken.glob('*/*.log')
    stamp = (kept / 'metrics.json').stat().st_mtime_ns
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    words = command(out, folder / 'suite_2.py', *CHOICE)
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert '1 of 2 runs are finished already' in done.stderr
    assert (kept / 'metrics.json').stat().st_mtime_ns == stamp
    after = json.loads((out / 'results.json').read_text())['runs']
    assert [run['mIoU'] for run in after] == [run['mIoU'] for run in before]
    [second] = set(broken.glob('*/*.log')) - {first}
    assert 'Iter(train)' in first.read_text()
    assert 'Iter(train)' not in second.read_text()  # its last checkpoint was there
    assert f'resumed epoch: 0, iter: {ITERATIONS}' in second.read_text()


def test_runs_of_another_setting_are_not_mixed(compared):
    folder, _ = compared
    other = write_suite(folder, iterations=3)
    request = CompareRequest(other, folder / 'out', methods=['e2e'])
    with pytest.raises(UserError, match=r'another setting .* give another --out'):
        compare(request, lambda line: None)
    with pytest.raises(UserError, match=r'another setting .* give another --out'):
        compare(replace(request, methods=None, report_only=True), lambda line: None)


@pytest.mark.usefixtures('_numbers_only')
def test_a_report_holds_all_finished_runs_or_those_asked_for(compared):
    folder, _ = compared
    out = folder / 'out'

    def reported(**choice):
        request = CompareRequest(folder / 'suite_2.py', out, report_only=True, **choice)
        compare(request, lambda line: None)
        return [
            (run['method'], run['modules']) for run in json.loads((out / 'results.json').read_text())['runs']
        ]

    assert reported() == [('e2e', 1), ('greedy', 2)]  # the suite itself asks for greedy with 4
    before = (out / 'results.json').read_text()
    (out / 'traces.json').unlink()
    assert reported() == [('e2e', 1), ('greedy', 2)]
    assert (out / 'results.json').read_text() == before
    assert reported(methods=['greedy'], modules=[2]) == [('e2e', 1), ('greedy', 2)]
    with pytest.raises(UserError, match='no finished run'):
        reported(methods=['greedy'])
    (out / 'runs' / 'greedy_k2_seed0_old').mkdir()
    shutil.copy(out / 'runs' / 'greedy_k2_seed0' / 'metrics.json', out / 'runs' / 'greedy_k2_seed0_old')
    assert reported() == [('e2e', 1), ('greedy', 2)]


@pytest.mark.usefixtures('_numbers_only')
@pytest.mark.parametrize(('status', 'outcome'), [(3, 1), (0, 1), (INTERRUPTED, KeyboardInterrupt)])
def test_a_training_that_does_not_end_is_reported(compared, tmp_path, monkeypatch, status, outcome):
    folder, _ = compared
    shutil.copytree(folder / 'out', tmp_path / 'out', ignore=shutil.ignore_patterns('*.pth', 'greedy*'))
    tool = tmp_path / 'train.py'
    tool.write_text(f'print("to the log")\nraise SystemExit({status})\n')
    monkeypatch.setattr(trainings, 'TRAIN', [sys.executable, str(tool)])
    request = CompareRequest(folder / 'suite_2.py', tmp_path / 'out', methods=['e2e', 'greedy'], modules=[2])
    lines = []
    if outcome is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            compare(request, lines.append)
    else:
        assert compare(request, lines.append) == outcome
        assert lines[-1] == '1 of 2 runs failed; the same command resumes them'
        runs = json.loads((tmp_path / 'out' / 'results.json').read_text())['runs']
        assert [run['method'] for run in runs] == ['e2e']
    log = tmp_path / 'out' / 'runs' / 'greedy_k2_seed0' / 'train.log'
    assert f'greedy_k2_seed0: stopped with exit status {status}; see {log}' in lines
    assert log.read_text() == 'to the log\n'
