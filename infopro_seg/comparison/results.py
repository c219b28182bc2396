"""The results of finished trainings: metrics, learning curves and memory, and means over seeds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

from mmengine.config import Config

from infopro_seg.comparison.suite import Run, run_config
from infopro_seg.comparison.trainings import parts_of
from infopro_seg.errors import ConfigError
from infopro_seg.files import write_text
from infopro_seg.hooks.results import METRICS
from infopro_seg.memory import resolve_cuts, trace_step
from infopro_seg.memory.tracing.training_setup import training_setup
from infopro_seg.turn_configs import turn_config

TRACES = 'traces.json'
MIOU = 'mIoU'  # the metric of segmentors


def trace_settings(suite: Config, runs: Sequence[Run], out: Path, report: Callable[[str], None]) -> None:
    """Traces a training step of every method and number of modules, unless that was done before.

    `traces.json` gets the peak bytes and FLOPs of a step, and the cuts, which differ between methods if they
    are balanced by memory. If modules train in turn, it gets the largest peak, and the FLOPs of one step of
    each module. If the suite's `comparison.real_use` names the batch and crop that its methods are meant for,
    `real_use` contains peak and FLOPs at that size; if the suite now names another, all are traced again.
    """
    real_use = suite.comparison.get('real_use')
    size_now = None if real_use is None else (real_use.batch, list(real_use.crop))
    path = out / TRACES
    traces: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else {}
    for run in runs:
        if run.setting in traces and _real_size(traces[run.setting]) == size_now:
            continue
        report(f'tracing {run.setting}')
        cfg = resolve_cuts(run_config(suite, run))
        cuts = list(cfg.model.backbone.get('cuts') or ())
        parts = [turn_config(cfg, index) for index in range(len(cfg.get('stages') or ()))] or [cfg]
        traces[run.setting] = {**_peak_and_flops(parts), 'cuts': cuts}
        if real_use is not None:
            size = (real_use.batch, tuple(real_use.crop))
            traces[run.setting]['real_use'] = {**_peak_and_flops(parts, *size), **real_use.to_dict()}
        write_text(path, json.dumps(traces, indent=2) + '\n')


def _real_size(trace: Mapping[str, Any]) -> tuple[int, list[int]] | None:
    """The batch and crop of the real use that a method was traced at; None if the suite named none."""
    found = trace.get('real_use')
    return None if found is None else (found['batch'], list(found['crop']))


def _peak_and_flops(
    parts: Sequence[Config], batch: int | None = None, crop: tuple[int, int] | None = None
) -> dict[str, int]:
    steps = []
    for cfg in parts:
        setup = training_setup(cfg, batch, crop)
        steps.append(trace_step(cfg, setup.batch, setup.crop, setup.amp, accumulation=setup.accumulation))
    return {'peak_bytes': max(step.peak for step in steps), 'flops': sum(step.flops for step in steps)}


def read_runs(runs: Sequence[Run], out: Path, metric: str = MIOU) -> list[dict[str, Any]]:
    """The results of finished runs, as they are written to `results.json`.

    If modules train in turn, the results are those of the last turn, the peak is the largest one, and the
    seconds per iteration are the sum over the turns.

    Args:
        runs: the runs.
        out: folder of the comparison.
        metric: `mIoU`, or another metric of the validation in percent.

    Raises:
        ConfigError: no run has this metric.
    """
    path = out / TRACES
    traces = json.loads(path.read_text()) if path.is_file() else {}
    found: list[dict[str, Any]] = []
    judged: dict[str, float] = {}  # what the validations give
    for run in runs:
        parts = parts_of(out, run)
        metrics = [json.loads((part / METRICS).read_text()) for part in parts]
        logged = [read_scalars(part) for part in parts]
        seconds = [_median(entry['time'] for entry in part if 'loss' in entry) for part in logged]
        known = [value for value in seconds if value is not None]
        last = metrics[-1]
        judged.update(last['percent'])
        found.append(
            {
                'method': run.method,
                'modules': run.modules,
                'seed': run.seed,
                'stages': len(parts),
                **_scores(last, metric),
                'iterations': last['iterations'],
                'seconds_per_iteration': sum(known) if len(known) == len(parts) else None,
                'traced': traces[run.setting],
                'measured': largest_peaks([part['peak_memory'] for part in metrics]),
                'date': date.fromtimestamp((parts[-1] / METRICS).stat().st_mtime).isoformat(),
                'curve': _curve(logged[-1], metric),
                'versions': last['versions'],
            }
        )
    if judged and metric not in judged and all(run[metric] is None for run in found):
        raise ConfigError(
            f'{metric}, by which the suite compares, is not a metric of its runs, which have '
            f'{", ".join(judged)}; set comparison.metric of the suite to one of these, and repeat the command'
        )
    return found


def read_scalars(folder: Path) -> list[dict[str, Any]]:
    """All log entries of a run, including those after a resume; later entries for an iteration come last.

    What a full disk or a killed process has left of a line is skipped.
    """
    found = []
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in path.read_text(errors='replace').splitlines():
            with suppress(ValueError):
                found.append(json.loads(line))
    return [entry for entry in found if isinstance(entry, dict)]


def _scores(metrics: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """The metrics of a run, as fractions."""
    value = metrics['percent'].get(metric)
    score = None if value is None else value / 100
    if metric == MIOU:
        known = metrics['mIoU']  # None in the runs of earlier versions by mmseg's own IoUMetric
        return {'mIoU': score if known is None else known, 'IoU': metrics['IoU']}
    return {metric: score, 'IoU': {}}


def summarise(results: Sequence[dict[str, Any]], metric: str = MIOU) -> list[dict[str, Any]]:
    """One row for each method and number of modules: means over seeds, and their standard deviation.

    `mIoU_sd` (with the name of the metric) is the standard deviation of a sample, None for a single seed.
    `against_e2e` is the mean difference from the mIoU of end-to-end training with the same seed, over the
    `against_e2e_seeds` seeds that have one. `IoU` contains the mean of each class over the seeds that saw it.
    """
    known = [result for result in results if result[metric] is not None]  # None without labels
    reference = {result['seed']: result[metric] for result in known if result['method'] == 'e2e'}
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for result in results:
        groups.setdefault((result['method'], result['modules']), []).append(result)
    rows = []
    for (method, modules), group in groups.items():
        values = [result[metric] for result in group if result in known]
        paired = [result for result in group if result in known and result['seed'] in reference]
        differences = [result[metric] - reference[result['seed']] for result in paired]
        rows.append(
            {
                'method': method,
                'modules': modules,
                'stages': group[0]['stages'],
                'seeds': [result['seed'] for result in group],
                metric: _mean(values),
                f'{metric}_sd': _spread(values),
                'against_e2e': _mean(differences),
                'against_e2e_sd': _spread(differences),
                'against_e2e_seeds': len(differences),
                'IoU': {name: _mean(r['IoU'].get(name) for r in group) for name in group[0]['IoU']},
                'seconds_per_iteration': _median(r['seconds_per_iteration'] for r in group),
                'traced': group[0]['traced'],
                'measured_bytes': max(r['measured'].get('allocated_bytes', 0) for r in group) or None,
                'curve': mean_curve(group),
            }
        )
    return rows


def mean_curve(group: Sequence[dict[str, Any]]) -> list[tuple[int, float]]:
    """Iteration and mean mIoU (a fraction) over runs, where all of them validated."""
    curves = [dict(map(tuple, result['curve'])) for result in group]
    shared = set.intersection(*(set(curve) for curve in curves))
    return [(step, statistics.fmean(curve[step] for curve in curves)) for step in sorted(shared)]


def _curve(logged: Sequence[dict[str, Any]], metric: str) -> list[tuple[int, float]]:
    """The metric at each validation, as a fraction; the log has percent."""
    return sorted({entry['step']: entry[metric] / 100 for entry in logged if metric in entry}.items())


def largest_peaks(measured: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The largest value of each measured peak, and the device.

    A training that was resumed at its end has measured nothing.
    """
    found: dict[str, Any] = {'device': measured[-1]['device']}
    for peaks in measured:
        for kind in peaks.keys() - {'device'}:
            found[kind] = max(peaks[kind], found.get(kind, 0))
    return found


def _spread(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def _mean(values: Iterable[float | None]) -> float | None:
    return _of_known(statistics.fmean, values)


def _median(values: Iterable[float | None]) -> float | None:
    return _of_known(statistics.median, values)


def _of_known(statistic: Callable[[list[float]], float], values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistic(known) if known else None
