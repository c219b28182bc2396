"""The tables of the photographs: pages hold what the committed files say."""

import json
from statistics import mean, stdev

import pytest

from tests.docs.benchmark_modules import CAMVID, imported


@pytest.fixture
def tables(monkeypatch):
    return imported(monkeypatch, CAMVID, 'tables')


def run(method, modules, seed, test, val):
    return {'method': method, 'modules': modules, 'seed': seed, 'mIoU': test, 'curve': [[1, 0.0], [2, val]]}


@pytest.fixture
def folder(tmp_path):
    """Two seeds end to end on two processors, and two of another training."""
    runs = [
        run('infopro', 4, 1, 0.46, 0.6),
        run('infopro', 4, 0, 0.44, 0.5),
        run('e2e', 1, 0, 0.5, 0.7),
        run('e2e', 1, 1, 0.4, 0.7),
    ]
    again = [run('e2e', 1, 0, 0.52, 0.8), run('e2e', 1, 1, 0.46, 0.8)]
    costs = {'e2e_k1': (1000, 40), 'infopro_k4': (300, 50)}
    traces = {k: {'real_use': {'peak_bytes': p, 'flops': f}} for k, (p, f) in costs.items()}
    for name, content in (
        ('long/results.json', {'runs': runs}),
        ('long_avx512/results.json', {'runs': again}),
        ('long/traces.json', traces),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(content))
    return tmp_path


def test_differences_are_to_the_mean_of_both_trainings_with_the_same_seed(tables, folder):
    exact, infopro = tables.read(folder)
    assert exact.test == pytest.approx([50, 40, 52, 46])
    assert infopro.test == pytest.approx([44, 46])
    assert infopro.val == pytest.approx([50, 60])
    assert infopro.differences == pytest.approx([44 - 51, 46 - 43])
    assert (infopro.share, infopro.flops) == (0.3, 1.25)


def test_a_line_has_mean_and_deviation(tables, folder):
    recipes = [
        {'recipe': 'E2E, stock losses', 'peak_gib': 5.0, 'flops_of_e2e': 1.0},
        {'recipe': 'E2E', 'peak_gib': 4.0, 'flops_of_e2e': 1.0},
        {'recipe': 'E2E + recomputation (<= 1.02)', 'peak_gib': 1.0, 'flops_of_e2e': 1.0175},
    ]
    lines = tables.tables(tables.read(folder), recipes)
    exact = f"end-to-end, with mmseg's auxiliary head | 1 | 47.00 ± {stdev([50, 40, 52, 46]):.2f}"
    infopro = f'InfoPro | 4 | 45.00 ± {stdev([44, 46]):.2f} | {mean([-7, 3]):+.2f} ± {stdev([-7, 3]):.2f}'
    assert lines[tables.RESULTS][tables.SHORT] == [
        f'| {exact} | | 3, twice | 1.00 | 1.00 |',
        '| the same, best recomputation for 2 % more FLOPs | 1 | the same gradients | 0 | | 0.25 | 1.02 |',
        f'| {infopro} | 2 | 0.30 | 1.25 |',
    ]


def test_the_pages_hold_what_the_files_say(tables):
    recipes = json.loads((CAMVID / 'exact.json').read_text())
    for page, lines in tables.tables(tables.read(), recipes).items():
        assert tables.written(page.read_text(), lines) == page.read_text(), f'run {CAMVID / "tables.py"}'
