"""Writes the tables of the trainings on CIFAR-10 (JPEG) into README.md here and into docs/classification.md.

    python docs/benchmarks/cifar10_jpeg/tables.py

Reads results.json, and batch_512/results.json: the same trainings with batches of 512.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent
sys.path.append(str(FOLDER.parent))
from pages import figures, line, spread, written  # noqa: E402

README = FOLDER / 'README.md'
PAGE = FOLDER.parents[1] / 'classification.md'
SIXTEEN = (
    '| training, K = 16 | auxiliary head | weights of reconstruction, of classification | seeds | top-1 % | '
    "difference | the paper's error % |"
)
BY_K = "| training | top-1 %, K = 2 | 4 | 16 | the paper's errors %, K = 2 | 4 | 16 |"
BY_SEED = '| training | K | top-1 %, seed by seed |'
BATCHES = '| training, K = 16 | batches of 128 | of 512 |'


class Method(NamedTuple):
    """What a row says of a method."""

    name: str
    head: str
    weights: str = ''
    paper: Mapping[int, float] = {}  # error % after 160 epochs, by K


PAPERS = '5 to 0.2, 0.05 to 0.5'
METHODS = {
    'e2e': Method('end to end', '', '', {1: 7.4}),
    'dgl': Method('DGL', '2c2f', 'none, 1', {2: 8.7, 4: 11.5, 16: 16.2}),
    'infopro_dgl_head': Method('DGL with a decoder', '2c2f', '1, 1'),
    'infopro': Method('InfoPro (softmax)', '1c2f', PAPERS, {2: 8.1, 4: 8.6, 16: 14.2}),
    'infopro_constant': Method('InfoPro (softmax), the same weights everywhere', '1c2f', '1, 1'),
    'infopro_no_decoder': Method('InfoPro without its decoder', '1c2f', 'none, 1'),
    'infopro_contrast': Method('InfoPro (contrast)', 'contrastive', PAPERS, {2: 7.8, 4: 8.6, 16: 12.8}),
    'infopro_contrast_constant': Method(
        'InfoPro (contrast), the same weights everywhere', 'contrastive', '1, 1'
    ),
    'greedy': Method('greedy SL', '0c1f', 'none, 1', {2: 10.3, 4: 16.1, 16: 24.6}),
}

Runs = dict[tuple[str, int], dict[int, float]]


def read(path: Path) -> Runs:
    """Top-1 accuracy in % by seed, of each method and K."""
    runs: Runs = {}
    for run in sorted(json.loads(path.read_text())['runs'], key=lambda run: int(run['seed'])):
        runs.setdefault((run['method'], run['modules']), {})[run['seed']] = 100 * run['accuracy/top1']
    return runs


def tables(runs: Runs, larger: Runs) -> dict[Path, dict[str, list[str]]]:
    """The lines of each table, by page and header.

    Args:
        runs: the trainings with batches of 128.
        larger: those with batches of 512.
    """
    sixteen = sorted(
        (method for method, modules in runs if modules in (1, 16)),
        key=lambda method: (method != 'e2e', -mean(_of(runs, method).values())),
    )
    return {
        README: {
            SIXTEEN: [_sixteen(runs, method) for method in sixteen],
            BY_SEED: [
                line(METHODS[method].name, modules, figures(list(runs[method, modules].values()), 1))
                for method in METHODS
                for modules in (1, 2, 4, 16)
                if (method, modules) in runs
            ],
            BATCHES: [
                line(
                    METHODS[method].name,
                    figures([runs[method, modules][seed] for seed in found], 1),
                    figures(list(found.values()), 1),
                )
                for (method, modules), found in larger.items()
            ],
        },
        PAGE: {BY_K: [_by_k(runs, method) for method in METHODS if (method, 2) in runs]},
    }


def _of(runs: Runs, method: str) -> dict[int, float]:
    return runs[method, 1 if method == 'e2e' else 16]


def _sixteen(runs: Runs, method: str) -> str:
    about, found, own = METHODS[method], _of(runs, method), _of(runs, 'e2e')
    differences = [found[seed] - own[seed] for seed in found]
    return line(
        about.name,
        about.head,
        about.weights,
        len(found),
        spread(list(found.values()), digits=1),
        '' if method == 'e2e' else spread(differences, '+', 1),
        about.paper.get(1 if method == 'e2e' else 16, ''),
    )


def _by_k(runs: Runs, method: str) -> str:
    counts = (2, 4, 16)
    cells = [spread(list(runs[method, modules].values()), digits=1) for modules in counts]
    return line(METHODS[method].name, *cells, *(METHODS[method].paper[modules] for modules in counts))


if __name__ == '__main__':
    found = tables(read(FOLDER / 'results.json'), read(FOLDER / 'batch_512' / 'results.json'))
    for page, of_page in found.items():
        page.write_text(written(page.read_text(), of_page))
