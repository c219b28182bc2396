"""The command `tools/compare.py`: data, trainings, results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from infopro_seg.comparison.joining import joined, read_results
from infopro_seg.comparison.panel import draw_comparison, runs_shown
from infopro_seg.comparison.plots import plot_curves, plot_memory
from infopro_seg.comparison.results import MIOU, read_runs, summarise, trace_settings
from infopro_seg.comparison.setting import require_metric, require_suite, setting_of
from infopro_seg.comparison.suite import Run, select_runs
from infopro_seg.comparison.tables import class_table, comparison_table
from infopro_seg.comparison.trainings import (
    checked_config,
    finished_runs,
    require_weights,
    train_all,
    write_configs,
)
from infopro_seg.config_files import load_config
from infopro_seg.datasets.preflight import require_data
from infopro_seg.drawing.attempt import drawing
from infopro_seg.errors import ConfigError, UserError
from infopro_seg.files import write_text
from infopro_seg.hooks.results import splits_read
from infopro_seg.outputs import require_folder, require_own_results
from infopro_seg.streets.data_set import make_synthetic_streets
from infopro_seg.strict_json import write_json


@dataclass(frozen=True)
class CompareRequest:
    """The arguments of the command; None stands for the suite's own value.

    Args:
        suite: the config of the suite.
        out: folder for runs and results.
        methods: names of methods.
        modules: numbers of local modules.
        seeds: random seeds.
        jobs: number of trainings at once.
        report_only: whether to train nothing, and only write the results of finished runs.
        others: `results.json` files of the same suite, whose runs are added.
    """

    suite: Path
    out: Path
    methods: Sequence[str] | None = None
    modules: Sequence[int] | None = None
    seeds: Sequence[int] | None = None
    jobs: int = 1
    report_only: bool = False
    others: Sequence[Path] = ()


def compare(request: CompareRequest, report: Callable[[str], None]) -> int:
    """Runs the trainings that are not finished and writes the results; returns 1 if a training failed.

    Raises:
        UserError: an argument or the suite is invalid.
    """
    if request.jobs < 1:
        raise UserError(f'--jobs {request.jobs} trains nothing; give 1 or more')
    suite = load_config(request.suite)
    require_suite(suite, request.suite)
    if not request.report_only:
        require_metric(suite, request.suite)
    runs = select_runs(suite, request.methods, request.modules, request.seeds)
    for run in finished_runs(suite, request.out):
        checked_config(suite, run, request.out)
    amp = suite.optim_wrapper.get('type') == 'AmpOptimWrapper'
    if amp and not request.report_only and not torch.cuda.is_available():
        raise ConfigError(
            f'{request.suite} trains in mixed precision on a GPU, but there is no GPU; use the suite cpu'
        )
    setting = setting_of(suite, request.suite)
    metric = suite.comparison.get('metric', MIOU)
    others = [result for path in request.others for result in read_results(path, setting, metric)]
    require_own_results(require_folder(request.out), {'setting', 'runs'})
    failed = [] if request.report_only else _train(suite, runs, request, report)
    finished = _to_report(suite, runs, request)
    trace_settings(suite, finished, request.out, report)  # some may come from earlier calls
    results = joined(read_runs(finished, request.out, metric), others, list(suite.methods))
    if results:
        write_results(setting, results, request.out, report, metric)
        report(f'wrote results.json, table.md, curves.png and memory.png to {request.out}')
        if shown := runs_shown(suite, finished, request.out):
            with drawing(request.out / 'panel.png', report):
                draw_comparison(suite, shown, request.out, request.out / 'panel.png')
                report(f'wrote panel.png: {", ".join(shown)}')
    elif request.report_only:
        raise UserError(f'{request.out} contains no finished run of the suite; train without --report-only')
    if failed:
        report(f'{len(failed)} of {len(runs)} runs failed; the same command resumes them')
    return 1 if failed else 0


def _train(
    suite: Config, runs: Sequence[Run], request: CompareRequest, report: Callable[[str], None]
) -> list[Run]:
    """Runs the trainings that are not finished and returns those that failed."""
    require_weights(suite)
    paths = write_configs(suite, runs, request.out)
    data = suite.comparison.get('data')
    if data is not None:
        report(
            f'data: {data.train + data.val} synthetic streets in {suite.data_root}; missing ones are drawn'
        )
        make_synthetic_streets(Path(suite.data_root), data.train, data.val, tuple(data['size']), data.seed)
    require_data(suite, splits_read(suite))
    trace_settings(suite, runs, request.out, report)
    return train_all(paths, request.out, request.jobs, report)


def _to_report(suite: Config, runs: Sequence[Run], request: CompareRequest) -> list[Run]:
    """All finished runs in the folder; with --report-only, the requested runs and E2E with their seeds."""
    finished = finished_runs(suite, request.out)
    if not request.report_only or (request.methods, request.modules, request.seeds) == (None, None, None):
        return finished
    seeds = {run.seed for run in finished if run in runs}
    return [run for run in finished if run in runs or (run.method == 'e2e' and run.seed in seeds)]


def write_results(
    setting: dict[str, Any],
    results: Sequence[dict[str, Any]],
    out: Path,
    report: Callable[[str], None],
    metric: str = MIOU,
) -> None:
    """Writes `results.json`, `table.md`, `curves.png` and `memory.png` of some runs."""
    rows = summarise(results, metric)
    setting = {
        **setting,
        'device': _all(result['measured']['device'] for result in results),
        'date': _all(result['date'] for result in results),
        'versions': _all(f'{name} {number}' for r in results for name, number in r['versions'].items()),
    }
    content: dict[str, Any] = {'setting': setting, 'summary': rows, 'runs': results}
    write_json(out / 'results.json', content, indent=1)
    described = ', '.join(f'{key} {value}' for key, value in setting.items())
    classes = f'\n{class_table(rows)}' if any(row['IoU'] for row in rows) else ''
    text = f'{comparison_table(rows, metric)}\n{described}\n{classes}'
    write_text(out / 'table.md', text)
    for name, plot in (('curves.png', plot_curves), ('memory.png', plot_memory)):
        with drawing(out / name, report):
            plot(rows, out / name, metric)


def _all(values: Iterable[str]) -> str:
    """The common value of some runs, or all their values."""
    return ', '.join(sorted(set(values)))
