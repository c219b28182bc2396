"""Writes the tables of 1200 iterations into README.md here and into docs/results.md.

    python docs/benchmarks/camvid/tables.py

Reads long/results.json, long_avx512/results.json (end-to-end training again, on another processor),
long/traces.json and exact.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

FOLDER = Path(__file__).resolve().parent
sys.path.append(str(FOLDER.parent))
from pages import figures, line, spread, written  # noqa: E402

README = FOLDER / 'README.md'
RESULTS = FOLDER.parents[1] / 'results.md'
RUNS = '| training | K | seeds | mIoU % test | against end-to-end, same seeds |'
BY_SEED = '| training | K | test | val |'
COSTS = '| method | K | peak | FLOPs |'
SHORT = '| training | K | mIoU | difference | seeds | peak | FLOPs |'
NAMES = {
    'e2e': "end-to-end, with mmseg's auxiliary head",
    'e2e_no_auxiliary': 'end-to-end without the auxiliary head',
    'frozen_prefix': 'frozen prefix',
    'frozen_prefix_long': 'long frozen prefix',
    'greedy': 'greedy SL',
    'dgl': 'DGL',
    'infopro': 'InfoPro',
    'infopro_no_decoder': 'InfoPro without its decoder',
    'infopro_auxiliary': "InfoPro with mmseg's auxiliary head",
    'infopro_overlap': 'InfoPro, `overlap=1`',
    'infopro_momentum': 'InfoPro, learnable momentum block',
    'infopro_async': 'InfoPro in stages',
    'infopro_paper_weights': 'InfoPro, weights 5 to 0.5 and 0.1 to 1',
    'infopro_earlier_cut': "InfoPro, last cut earlier, with mmseg's auxiliary head",
}
IN_SHORT = {  # the rows of docs/results.md: methods, and their K
    'e2e': (1,),
    'frozen_prefix_long': (1,),
    'greedy': (4,),
    'dgl': (4,),
    'infopro': (4, 8),
    'infopro_no_decoder': (4,),
    'infopro_auxiliary': (2,),
    'infopro_overlap': (4,),
    'infopro_momentum': (4, 8),
    'infopro_async': (4, 8),
}


class Row(NamedTuple):
    """A training: its mIoU in % on test and val by seed, and its differences to end-to-end training."""

    method: str
    modules: int
    test: list[float]
    val: list[float]
    differences: list[float]
    peak: int  # bytes, traced at 512x1024, batch 4
    share: float  # of end-to-end training's peak
    flops: float  # share of end-to-end training


def read(folder: Path = FOLDER) -> list[Row]:
    """The trainings, best first; end-to-end training is the first, on both processors.

    A difference is that to the mean of both end-to-end trainings with the same seed.
    """
    runs = _runs(folder / 'long/results.json')
    again = _runs(folder / 'long_avx512/results.json')
    traces = json.loads((folder / 'long/traces.json').read_text())
    own = traces['e2e_k1']['real_use']
    exact = {run['seed']: run['test'] for run in runs['e2e', 1]}
    exact_again = {run['seed']: run['test'] for run in again['e2e', 1]}
    assert exact.keys() == exact_again.keys()
    rows = []
    for (method, modules), of_method in runs.items():
        every = of_method + (again['e2e', 1] if method == 'e2e' else [])
        cost = traces[f'{method}_k{modules}']['real_use']
        rows.append(
            Row(
                method,
                modules,
                [run['test'] for run in every],
                [run['val'] for run in every],
                [run['test'] - mean((exact[run['seed']], exact_again[run['seed']])) for run in of_method],
                cost['peak_bytes'],
                cost['peak_bytes'] / own['peak_bytes'],
                cost['flops'] / own['flops'],
            )
        )
    return sorted(rows, key=lambda row: (row.method != 'e2e', -mean(row.differences)))


def tables(rows: Sequence[Row], recipes: Iterable[dict[str, Any]]) -> dict[Path, dict[str, list[str]]]:
    """The lines of each table, by page and header.

    Args:
        rows: what `read` returns.
        recipes: the planner's recipes, as `plan.py --json` writes them.
    """
    first, *others = rows
    short = [row for row in others if row.modules in IN_SHORT.get(row.method, ())]
    plain, *found = [recipe for recipe in recipes if recipe['recipe'].startswith('E2E')][1:4]
    recomputed = [
        line(
            f'the same, best recomputation for {100 * recipe["flops_of_e2e"] - 100:.0f} % more FLOPs',
            1,
            'the same gradients',
            0,
            '',
            f'{recipe["peak_gib"] / plain["peak_gib"]:.2f}',
            f'{recipe["flops_of_e2e"]:.2f}',
        )
        for recipe in found
    ]
    return {
        README: {
            RUNS: [
                line(NAMES[row.method], row.modules, _seeds(row), spread(row.test), _difference(row))
                for row in rows
            ],
            BY_SEED: [
                line(NAMES[row.method], row.modules, figures(row.test), figures(row.val)) for row in rows
            ],
            COSTS: _costs(others),
        },
        RESULTS: {SHORT: [_short(first), *recomputed, *map(_short, short)]},
    }


def _runs(path: Path) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """Seed and mIoU in % on test and, at the end, on val, of each method and K, by seed."""
    runs: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for run in sorted(json.loads(path.read_text())['runs'], key=lambda run: int(run['seed'])):
        found = {'seed': run['seed'], 'test': 100 * run['mIoU'], 'val': 100 * run['curve'][-1][1]}
        runs.setdefault((run['method'], run['modules']), []).append(found)
    return runs


def _costs(rows: Sequence[Row]) -> list[str]:
    """Peak and FLOPs of each method, with all its K in a line."""
    by_method: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (list(NAMES).index(row.method), row.modules)):
        if row.method not in ('infopro_paper_weights', 'e2e_no_auxiliary'):  # cost what others do
            by_method.setdefault(row.method, []).append(row)

    def joined(of_method: Sequence[Row], text: Callable[[Row], str]) -> str:
        return ' / '.join(map(text, of_method))

    return [
        line(
            NAMES[method],
            joined(of_method, lambda row: str(row.modules)),
            joined(of_method, lambda row: f'{row.share:.3f}'),
            joined(of_method, lambda row: f'{row.flops:.3f}'),
        )
        for method, of_method in by_method.items()
    ]


def _short(row: Row) -> str:
    cost = (f'{row.share:.2f}', f'{row.flops:.2f}')
    return line(NAMES[row.method], row.modules, spread(row.test), _difference(row), _seeds(row), *cost)


def _seeds(row: Row) -> str:
    return '3, twice' if row.method == 'e2e' else str(len(row.test))


def _difference(row: Row) -> str:
    return '' if row.method == 'e2e' else spread(row.differences, '+')


if __name__ == '__main__':
    lines = tables(read(), json.loads((FOLDER / 'exact.json').read_text()))
    for page, of_page in lines.items():
        page.write_text(written(page.read_text(), of_page))
