"""Evaluation from a config and a checkpoint, as `tools/test.py` does it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

import infopro_seg.register  # noqa: F401
from infopro_seg.checkpoints import require_file
from infopro_seg.cli import load_config, work_dir_of
from infopro_seg.datasets.classes import require_equal_classes
from infopro_seg.datasets.preflight import require_data
from infopro_seg.errors import ConfigError
from infopro_seg.evaluation.iou import CLASS_IOU
from infopro_seg.hooks.results import iou_results
from infopro_seg.inference import without_local_modules
from infopro_seg.training.config_check import require_keys
from infopro_seg.training.runner import build_runner


def evaluate(
    config: str | Path,
    checkpoint: str | Path,
    tta: bool = False,
    out: str | None = None,
    json_file: str | None = None,
    work_dir: str | None = None,
    options: Mapping[str, Any] | None = None,
    launcher: str = 'none',
) -> dict[str, Any]:
    """Evaluates a checkpoint on the config's test split.

    Args:
        config: path of the config.
        checkpoint: path of the checkpoint, with or without local heads.
        tta: whether to average over scales and flips, as the config's `tta_pipeline` lists them.
        out: a folder for one label image per test image, in the data set's own ids.
        json_file: where to write the results.
        work_dir: where the log goes.
        options: overrides of the config, `{'a.b': value}`.
        launcher: `none`, `pytorch` or `slurm`.

    Returns:
        `mIoU`, `IoU` by class (fractions), and mmseg's metrics in `percent`.

    Raises:
        UserError: the config, the data or the checkpoint is wrong.
    """
    cfg = load_config(config, options)
    require_keys(cfg, options)
    require_file(checkpoint)
    cfg.launcher = launcher
    cfg.work_dir = work_dir_of(cfg, work_dir)
    cfg.load_from = str(checkpoint)
    cfg.resume = False
    for name in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
        cfg.pop(name, None)
    for name in ('val_dataloader', 'val_cfg', 'val_evaluator'):
        cfg.pop(name, None)
    require_equal_classes(cfg)
    cfg.model = without_local_modules(cfg.model)
    if tta:
        _use_tta(cfg)
    if out is not None:
        cfg.test_evaluator = {**cfg.test_evaluator, 'label_dir': out}
    require_data(cfg, ('test',))
    runner = build_runner(cfg)
    metrics = runner.test()
    results = {
        **iou_results(runner.message_hub.get_info(CLASS_IOU)),
        'percent': {name: float(value) for name, value in metrics.items()},
        'config': str(config),
        'checkpoint': str(checkpoint),
        'tta': tta,
    }
    if json_file is not None and runner.rank == 0:
        Path(json_file).parent.mkdir(parents=True, exist_ok=True)
        Path(json_file).write_text(json.dumps(results, indent=2) + '\n')
    return results


def _use_tta(cfg: Config) -> None:
    missing = [name for name in ('tta_model', 'tta_pipeline') if name not in cfg]
    if missing:
        raise ConfigError(
            f'--tta needs {" and ".join(missing)} in the config {cfg.filename}; see '
            'configs/_base_/datasets/cityscapes.py'
        )
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = {**cfg.tta_model, 'module': cfg.model}
