"""Evaluation from a config and a checkpoint, as `tools/test.py` does it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmseg.models import SegTTAModel

from infopro_seg.checkpoints import read_checkpoint, require_file
from infopro_seg.config_edits import without_local_modules
from infopro_seg.config_files import load_config, work_dir_of
from infopro_seg.datasets.building import leaves
from infopro_seg.datasets.checks.classes import require_equal_classes
from infopro_seg.datasets.preflight import require_data
from infopro_seg.errors import ConfigError, DataError
from infopro_seg.evaluation.iou import CLASS_IOU
from infopro_seg.evaluation.label_files import require_replaceable
from infopro_seg.evaluation.label_images import LabelImages
from infopro_seg.evaluation.test_set import drop_labels, read_test_set
from infopro_seg.evaluation.tta import TTAModel
from infopro_seg.evaluation.validations import numbers, validations_of
from infopro_seg.hooks.results import iou_results
from infopro_seg.outputs import require_folder, require_json
from infopro_seg.strict_json import finite, write_json
from infopro_seg.tasks import is_classifier
from infopro_seg.training.checks.config_check import require_keys
from infopro_seg.training.runner import require_launched
from infopro_seg.training.runners import build_runner

TRAINING = (
    *('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'),
    *('val_dataloader', 'val_cfg', 'val_evaluator', 'model_parallel'),
)
"""The parts of a config that an evaluation does not need."""


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
        tta: whether to average over the scales and flips in the config's `tta_pipeline`.
        out: a folder for label images in the data set's own ids, one for each test image, with the same
            relative path as the image.
        json_file: where to write the results.
        work_dir: where the log goes.
        options: overrides of the config, `{'a.b': value}`.
        launcher: `none`, `pytorch` or `slurm`.

    Returns:
        `mIoU`, `IoU` by class (fractions), mmseg's metrics in `percent`, and the `validations` in the
        checkpoint, by iteration. Without labels there are no metrics. For a classifier, there is no IoU, but
        accuracies in `percent`.

    Raises:
        UserError: the config, the data or the checkpoint is invalid.
    """
    cfg = load_config(config, options)
    require_keys(cfg, options)
    require_file(checkpoint)
    cfg.launcher = launcher
    require_launched(cfg)
    cfg.work_dir = work_dir_of(cfg, work_dir)
    cfg.load_from = str(checkpoint)
    cfg.resume = False
    whole = copy.deepcopy(cfg)
    for name in TRAINING:
        cfg.pop(name, None)
    require_equal_classes(cfg)
    cfg.model = without_local_modules(cfg.model)
    if is_classifier(cfg):
        return _evaluate_classifier(cfg, config, checkpoint, tta, out, json_file)
    if tta:
        _use_tta(cfg)
    tested = read_test_set(cfg)
    if not tested.labelled and out is None:
        raise DataError(
            f'the {len(tested.images)} images of the test split have no labels (its data_prefix names no '
            f'seg_map_path), so no metric can be computed; to write their label images, add --out: '
            f'python tools/test.py {config} {checkpoint} --out DIR'
        )
    require_folder(cfg.work_dir, '--work-dir')
    content = read_checkpoint(checkpoint)
    writer = None
    if out is not None:
        require_replaceable(Path(out) / name for name in tested.names.values())
        writer = LabelImages(str(require_folder(out)), tested.names, tested.ids(content, whole))
    if json_file is not None:
        require_json(json_file)
    if not tested.labelled:
        drop_labels(cfg)
    require_data(cfg, ('test',))
    history = validations_of(content)
    del content
    runner = build_runner(cfg)
    if writer is not None:
        runner.test_evaluator.metrics.append(writer)
    runner.message_hub.pop_info(CLASS_IOU)  # left by another evaluation in this process
    metrics = runner.test()
    results: dict[str, Any] = finite(
        {
            **iou_results(runner.message_hub.get_info(CLASS_IOU), metrics),
            'percent': numbers(metrics),
            'images': len(tested.images),
            'config': str(config),
            'checkpoint': str(checkpoint),
            'tta': tta,
            'validations': history,
        }
    )
    if json_file is not None and runner.rank == 0:
        write_json(Path(json_file), results)
        runner.logger.info(f'results: {json_file}')
    return results


def _evaluate_classifier(
    cfg: Config,
    config: str | Path,
    checkpoint: str | Path,
    tta: bool,
    out: str | None,
    json_file: str | None,
) -> dict[str, Any]:
    from infopro_seg.classification.evaluation import evaluate_classifier

    if json_file is not None:
        require_json(json_file)
    runner, found = evaluate_classifier(cfg, tta, out)
    results: dict[str, Any] = finite({**found, 'config': str(config), 'checkpoint': str(checkpoint)})
    if json_file is not None and runner.rank == 0:
        write_json(Path(json_file), results)
        runner.logger.info(f'results: {json_file}')
    return results


def _use_tta(cfg: Config) -> None:
    missing = [name for name in ('tta_model', 'tta_pipeline') if name not in cfg]
    if missing:
        raise ConfigError(
            f'--tta needs {" and ".join(missing)} in the config {cfg.filename}; see '
            'configs/_base_/datasets/cityscapes.py'
        )
    for leaf in leaves(cfg.test_dataloader['dataset']):
        leaf['pipeline'] = copy.deepcopy(cfg.tta_pipeline)
    stock = cfg.tta_model.get('type') in ('SegTTAModel', 'mmseg.SegTTAModel', SegTTAModel)
    cfg.model = {**cfg.tta_model, **({'type': TTAModel} if stock else {}), 'module': cfg.model}
