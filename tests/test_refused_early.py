"""Places that cannot be written to are refused before the work whose results they were for."""

from pathlib import Path

import pytest

from infopro_seg.comparison import command as comparison
from infopro_seg.datasets.checks import command as checking
from infopro_seg.errors import UserError
from infopro_seg.memory.measuring import benchmark
from infopro_seg.memory.planning import command
from infopro_seg.probing import command as probing
from tests.runs import DEMO, ROOT, tiny_options, write_config

NOWHERE = Path('/proc/none')


def fail(*args, **kwargs):
    pytest.fail('the work has begun')


def test_benchmark(monkeypatch):
    monkeypatch.setattr(benchmark, 'Planner', fail)
    with pytest.raises(UserError, match='cannot write to --out /proc/none'):
        benchmark.benchmark(benchmark.BenchmarkRequest(DEMO, NOWHERE))


@pytest.mark.parametrize(
    ('option', 'name'), [('json', 'a.json'), ('plot', 'a.png'), ('write_config', 'a.py')]
)
def test_plan(monkeypatch, option, name):
    monkeypatch.setattr(command, 'Planner', fail)
    request = command.PlanRequest(DEMO, budget='1GiB', **{option: NOWHERE / name})
    with pytest.raises(UserError, match=f'cannot write to --{option.replace("_", "-")} /proc/none/{name}'):
        command.plan(request)


def test_a_config_of_the_user_is_not_replaced_by_a_planned_one(monkeypatch, tmp_path):
    monkeypatch.setattr(command, 'Planner', fail)
    target = tmp_path / 'mine.py'
    request = command.PlanRequest(DEMO, budget='1GiB', write_config=target)
    for text in ("_base_ = 'a.py'\n", '# e2e\n'):
        target.write_text(text)
        with pytest.raises(UserError, match=r'mine\.py already exists and was not written by plan\.py'):
            command.plan(request)
    for text in ('', '# e2e: 1.0 GiB predicted for batch 2, crop 96x192, fp32.\n'):
        target.write_text(text)
        command._check_outputs(request)


@pytest.mark.parametrize('report_only', [False, True])
def test_compare(monkeypatch, report_only):
    monkeypatch.setattr(comparison, '_train', fail)
    suite = ROOT / 'configs' / 'compare' / 'smoke.py'
    request = comparison.CompareRequest(suite, NOWHERE, report_only=report_only)
    with pytest.raises(UserError, match='cannot write to --out /proc/none'):
        comparison.compare(request, print)


def test_probe(monkeypatch, streets, checkpoint, tmp_path):
    monkeypatch.setattr(probing, 'probe_network', fail)
    config = write_config(tmp_path / 'tiny.py', tiny_options(streets, results=True))
    with pytest.raises(UserError, match='cannot write to --out /proc/none'):
        probing.probe(probing.ProbeRequest(config, [checkpoint], NOWHERE))


@pytest.mark.parametrize('given', [{'out': NOWHERE}, {'json_file': NOWHERE / 'a.json'}], ids=['out', 'json'])
def test_check_dataset(monkeypatch, tmp_path, given):
    monkeypatch.setattr(checking, 'check_split', fail)
    with pytest.raises(UserError, match=r'cannot write to --(out|json) /proc/none'):
        checking.check_dataset(DEMO, **{'out': tmp_path, **given})
