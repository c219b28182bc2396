"""Draws the predictions of all networks of a comparison for the same images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import find_latest_checkpoint
from mmseg.registry import DATASETS, MODELS

from infopro_seg.checkpoints import read_checkpoint
from infopro_seg.comparison.suite import Run, run_config
from infopro_seg.comparison.trainings import parts_of
from infopro_seg.config_edits import without_pretraining
from infopro_seg.memory import resolve_cuts
from infopro_seg.visualization.panel import draw_panels


def runs_shown(suite: Config, finished: Sequence[Run], out: Path) -> dict[str, Run]:
    """The runs in the suite's `comparison.panel`, by title, with the first seed that all of them have.

    Empty if the suite lists none, or if one of them is not trained or has lost its checkpoint.
    """
    wanted = suite.comparison.get('panel') or {}
    for seed in sorted({run.seed for run in finished}):
        runs = {_title(method, k): Run(method, k, seed) for method, k in wanted.items()}
        if runs and all(run in finished and _checkpoint(out, run) for run in runs.values()):
            return runs
    return {}


def draw_comparison(suite: Config, runs: dict[str, Run], out: Path, path: Path, rows: int = 3) -> None:
    """Draws images of the evaluated split, the prediction of each run, and reconstructions of local heads.

    Args:
        suite: config of the suite.
        runs: see :func:`runs_shown`.
        out: folder of the comparison.
        path: the PNG to write.
        rows: number of images.
    """
    splits = [hook.get('split', 'val') for hook in suite.get('custom_hooks') or ()]
    loader = suite.test_dataloader if 'test' in splits else suite.val_dataloader
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(loader.dataset)
        models = {title: _trained(suite, run, out) for title, run in runs.items()}
    draw_panels(models, dataset, path, rows)


def _trained(suite: Config, run: Run, out: Path) -> Any:
    model = MODELS.build(without_pretraining(resolve_cuts(run_config(suite, run)).model))
    checkpoint = _checkpoint(out, run)
    assert checkpoint is not None
    model.load_state_dict(read_checkpoint(checkpoint)['state_dict'])
    return model


def _checkpoint(out: Path, run: Run) -> Path | None:
    """The last checkpoint of a run, in its own folder if that was moved; None if it no longer exists."""
    folder = parts_of(out, run)[-1]
    noted = find_latest_checkpoint(str(folder))
    places = [] if noted is None else [folder / Path(noted).name, Path(noted)]
    return next((path for path in places if path.is_file()), None)


def _title(method: str, modules: int) -> str:
    return method if modules == 1 else f'{method}, K={modules}'
