"""What all runs of a suite share, and what a suite must have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope

from infopro_seg.comparison.results import MIOU
from infopro_seg.config_edits import height_and_width
from infopro_seg.datasets.building import leaves
from infopro_seg.errors import ConfigError
from infopro_seg.evaluation.metric_names import metric_names
from infopro_seg.hooks.results import splits_read
from infopro_seg.memory.tracing.training_setup import training_setup
from infopro_seg.spelling import did_you_mean

NEEDED = {
    'runs': 'dict(e2e=(1,), infopro=(2, 4))',
    'seeds': '(0, 1, 2)',
    'cuts': "'balanced', 'even' or [['layer2.0'], ['layer1.1', 'layer2.0', 'layer3.1']]",
}
"""What a suite's `comparison` must have, and an example."""

OPTIONAL = ('data', 'local_head', 'metric', 'panel', 'real_use', 'weights_howto')


def require_suite(suite: Config, path: Path) -> None:
    """Checks that a config is a suite.

    Raises:
        ConfigError: it lacks what a suite has, or its `comparison` has an unknown key or method.
    """
    for key in ('methods', 'comparison'):
        if key not in suite:
            raise ConfigError(f'{path} is not a suite: it lacks {key!r}; see configs/compare/cpu.py')
    for key in suite.comparison:
        if key not in (*NEEDED, *OPTIONAL):
            meant = did_you_mean(key, (*NEEDED, *OPTIONAL))
            raise ConfigError(f'comparison.{key} of {path} is not read{meant or "; remove it"}')
    for key in NEEDED:
        if key not in suite.comparison:
            raise ConfigError(f'the comparison of {path} lacks {key!r}; see configs/compare/cpu.py')
    _require_forms(suite.comparison, path)
    for method in suite.comparison.runs:
        if method not in suite.methods:
            raise ConfigError(
                f'comparison.runs of {path} names the unknown method {method!r}; choose from '
                f'{", ".join(suite.methods)}'
            )
    if 'max_iters' not in (suite.get('train_cfg') or {}):
        raise ConfigError(f'train_cfg of {path} lacks max_iters: a comparison counts iterations; set it')
    if 'data' in suite.comparison and not suite.get('data_root'):
        raise ConfigError(
            f'{path} lacks data_root, the folder for the streets of its comparison.data; set it'
        )


def require_metric(suite: Config, path: Path) -> None:
    """Checks that the evaluation reports what the suite compares, so far as it can be told without one.

    Raises:
        ConfigError: it reports other metrics.
    """
    metric = suite.comparison.get('metric', MIOU)
    split = splits_read(suite)[-1]
    head = suite.model.get('head') or {}
    try:
        with DefaultScope.overwrite_default_scope('mmseg'):
            evaluator = Evaluator(suite[f'{split}_evaluator'])
    except Exception:  # the check of each training says what is wrong with it
        return
    names = metric_names(evaluator, split, head.get('num_classes'))
    if names and metric not in names:
        raise ConfigError(
            f'comparison.metric={metric!r} of {path}, but {split}_evaluator reports '
            f'{", ".join(sorted(names))}{did_you_mean(metric, names, cutoff=0.6)}'
        )


def _require_forms(comparison: Any, path: Path) -> None:
    """Checks the forms of the needed keys, which a missing comma or pair of brackets changes."""
    runs, cuts = comparison.runs, comparison.cuts
    right = {
        'runs': isinstance(runs, dict) and all(map(_are_numbers, runs.values())),
        'seeds': _are_numbers(comparison.seeds),
        'cuts': cuts in ('balanced', 'even') or (_is_list(cuts) and all(_is_list(names) for names in cuts)),
    }
    for key, example in NEEDED.items():
        if not right[key]:
            raise ConfigError(f'comparison.{key}={comparison[key]!r} of {path}; write e.g. {key}={example}')


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _are_numbers(value: Any) -> bool:
    listed = _is_list(value) or isinstance(value, range)
    return listed and all(isinstance(item, int) and item >= 0 for item in value)


def setting_of(suite: Config, path: Path) -> dict[str, Any]:
    """The setting that all runs of a suite share, as written to `results.json`."""
    crop = suite.get('crop_size')
    setup = training_setup(suite, crop=None if crop is None else height_and_width(crop))
    return {
        'suite': path.stem,
        'data': suite.comparison.data.to_dict() if 'data' in suite.comparison else _data_root(suite),
        'crop': list(setup.crop),
        'batch': setup.batch,
        'iterations': suite.train_cfg.max_iters,
    }


def _data_root(suite: Config) -> Any:
    """Where the training data of a suite are: its own `data_root`, or folder or file of each data set."""
    if suite.get('data_root'):
        return suite.data_root
    datasets = leaves(suite.train_dataloader.dataset)
    found = [dataset.get('data_root') or dataset.get('data_file') for dataset in datasets]
    return ', '.join(dict.fromkeys(str(place) for place in found if place)) or None
