"""What a run has logged, in the order in which people look at it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from infopro_seg.evaluation.validations import VALIDATIONS

TRAIN = 'train/'
LOCAL = re.compile(r'local_(\d+)\.')
RATES = ('lr', 'base_lr')
LAST = 'heads'


@dataclass
class Series:
    """Numbers over iterations, both (n,)."""

    iterations: np.ndarray
    values: np.ndarray


@dataclass
class TrainingLog:
    """A run's log.

    Args:
        iterations: of the run.
        tasks: what the classification losses of each local module add up to, by its name.
        reconstructions: the same of what decoders reconstruct.
        rate: the learning rate of the first group of parameters.
        metric: the name of what validations measure.
        validations: its values in percent.
    """

    iterations: int
    tasks: dict[str, Series] = field(default_factory=dict)
    reconstructions: dict[str, Series] = field(default_factory=dict)
    rate: Series | None = None
    metric: str = 'mIoU'
    validations: Series | None = None


def read_log(hub: Any, iterations: int) -> TrainingLog:
    """Reads the log of a run from its message hub, which a resume continues.

    Args:
        hub: mmengine's message hub.
        iterations: how many the run has had; a log that is shorter is of the last ones.
    """
    train = {name: buffer for name, buffer in hub.log_scalars.items() if name.startswith(TRAIN)}
    log = TrainingLog(iterations)
    for name, buffer in train.items():
        values = np.asarray(buffer.data[0], dtype=float)
        name = name.removeprefix(TRAIN)
        if name in RATES and log.rate is None:
            log.rate = _series(values, iterations)
        if 'loss' in name and name != 'loss':  # what mmengine adds up to 'loss'
            kind = log.reconstructions if name.endswith('recon') else log.tasks
            _add(kind, _module_of(name), _series(values, iterations))
    log.tasks, log.reconstructions = _in_order(log.tasks), _in_order(log.reconstructions)
    found: Mapping[int, Mapping[str, float]] = hub.get_info(VALIDATIONS, {})
    names = [name for metrics in found.values() for name in metrics]
    if names:
        log.metric = 'mIoU' if 'mIoU' in names else next((n for n in names if n.startswith('m')), names[0])
        points = sorted(
            (step, metrics[log.metric]) for step, metrics in found.items() if log.metric in metrics
        )
        log.validations = Series(*np.array(points, dtype=float).T)
    return log


def _module_of(name: str) -> str:
    """The local module that a loss is of; the last one's are those of neck and heads."""
    match = LOCAL.match(name)
    return f'module {match.group(1)}' if match else LAST


def _in_order(modules: dict[str, Series]) -> dict[str, Series]:
    """The local modules by their number, the last with its own."""
    numbers = {int(name.split()[-1]): series for name, series in modules.items() if name != LAST}
    found = {f'module {number}': numbers[number] for number in sorted(numbers)}
    if LAST in modules:
        found[f'module {max(numbers) + 1}, {LAST}' if numbers else LAST] = modules[LAST]
    return found


def _series(values: np.ndarray, iterations: int) -> Series:
    return Series(np.arange(iterations - len(values), iterations) + 1, values)


def _add(kind: dict[str, Series], module: str, series: Series) -> None:
    known = kind.get(module)
    if known is None:
        kind[module] = series
    elif len(known.values) == len(series.values):
        known.values = known.values + series.values
