"""Joins the results of a comparison with those of the same suite elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infopro_seg.errors import DataError

NUMBER = (int, float, type(None))
KINDS: dict[str, type | tuple[type, ...]] = {
    'method': str,
    'modules': int,
    'seed': int,
    'stages': int,
    'IoU': dict,
    'seconds_per_iteration': NUMBER,
    'traced': dict,
    'measured': dict,
    'date': str,
    'curve': list,
    'versions': dict,
}
"""What a run in `results.json` has, besides its metric."""


def read_results(path: Path, setting: Mapping[str, Any], metric: str) -> list[dict[str, Any]]:
    """The runs of another `results.json`.

    Args:
        path: the file.
        setting: suite, data, crop, batch and iterations that its runs must have had.
        metric: what the suite compares.

    Raises:
        DataError: the file cannot be read, contains no results, or has another setting.
    """
    setting = json.loads(json.dumps(setting))  # as JSON stores it
    try:
        content = json.loads(path.read_text())
        found, runs = dict(content['setting']), [dict(run) for run in content['runs']]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f'--with {path}: no results.json of a comparison can be read there '
            f'({type(error).__name__}: {error}); name one that compare.py has written'
        ) from error
    other = [
        f'{key} {found.get(key)} instead of {value}'
        for key, value in setting.items()
        if found.get(key) != value
    ]
    if other:
        raise DataError(f'--with {path} does not compare with this suite: it has {", ".join(other)}')
    for place, run in enumerate(runs):
        wrong = _wrong(run, metric)
        if wrong is not None:
            raise DataError(
                f'--with {path}: run {place} of it {wrong} a comparison; name a file as compare.py has '
                'written it'
            )
    return runs


def joined(
    own: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]], methods: Sequence[str]
) -> list[dict[str, Any]]:
    """The runs of a folder and of other files, in the order of the suite's methods.

    If both have a run, the folder's is used.
    """
    found = {(run['method'], run['modules'], run['seed']): run for run in [*others, *own]}
    order = {method: place for place, method in enumerate(methods)}
    return [found[key] for key in sorted(found, key=lambda key: (order.get(key[0], len(order)), *key[1:]))]


def _wrong(run: Mapping[str, Any], metric: str) -> str | None:
    """What is wrong with a run: the first key that is missing or has a value of another kind."""
    missing = [key for key in (*KINDS, metric) if key not in run]
    if missing:
        return f'lacks {missing[0]}, unlike those of'
    wrong = [key for key, kind in {**KINDS, metric: NUMBER}.items() if not isinstance(run[key], kind)]
    if not wrong and not {'peak_bytes', 'flops'} <= run['traced'].keys():
        wrong = ['traced']
    if not wrong and 'device' not in run['measured']:
        wrong = ['measured']
    if not wrong and not all(isinstance(point, list) and len(point) == 2 for point in run['curve']):
        wrong = ['curve']
    return f'has {wrong[0]}={run[wrong[0]]!r}, unlike those of' if wrong else None
