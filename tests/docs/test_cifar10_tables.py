"""The tables of the classifiers: pages hold what the committed files say."""

import json

import pytest

from tests.docs.benchmark_modules import CIFAR10, imported


@pytest.fixture
def tables(monkeypatch):
    return imported(monkeypatch, CIFAR10, 'tables')


def write(path, runs):
    keys = ('method', 'modules', 'seed', 'accuracy/top1')
    path.write_text(json.dumps({'runs': [dict(zip(keys, run, strict=True)) for run in runs]}))
    return path


def test_differences_are_to_end_to_end_training_with_the_same_seed(tables, tmp_path):
    others = [('dgl', 2, 0, 0.7), ('dgl', 4, 0, 0.6), ('greedy', 16, 1, 0.3)]
    runs = [('dgl', 16, 1, 0.55), ('dgl', 16, 0, 0.5), ('e2e', 1, 0, 0.6), ('e2e', 1, 1, 0.85), *others]
    read = tables.read(write(tmp_path / 'runs.json', runs))
    larger = tables.read(write(tmp_path / 'larger.json', [('dgl', 16, 1, 0.65)]))
    found = tables.tables(read, larger)
    assert found[tables.README] == {
        tables.SIXTEEN: [
            '| end to end | | | 2 | 72.5 ± 17.7 | | 7.4 |',
            '| DGL | 2c2f | none, 1 | 2 | 52.5 ± 3.5 | -20.0 ± 14.1 | 16.2 |',  # -10 and -30
            '| greedy SL | 0c1f | none, 1 | 1 | 30.0 | -55.0 | 24.6 |',
        ],
        tables.BY_SEED: [
            '| end to end | 1 | 60.0, 85.0 |',
            '| DGL | 2 | 70.0 |',
            '| DGL | 4 | 60.0 |',
            '| DGL | 16 | 50.0, 55.0 |',
            '| greedy SL | 16 | 30.0 |',
        ],
        tables.BATCHES: ['| DGL | 55.0 | 65.0 |'],
    }
    assert found[tables.PAGE] == {
        tables.BY_K: ['| DGL | 70.0 | 60.0 | 52.5 ± 3.5 | 8.7 | 11.5 | 16.2 |'],
    }


def test_the_pages_hold_what_the_files_say(tables):
    runs, larger = (tables.read(CIFAR10 / name) for name in ('results.json', 'batch_512/results.json'))
    for page, lines in tables.tables(runs, larger).items():
        assert tables.written(page.read_text(), lines) == page.read_text(), f'run {CIFAR10 / "tables.py"}'
