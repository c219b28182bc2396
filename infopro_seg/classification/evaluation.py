"""Evaluation of a classifier: top-1 and top-5 accuracy on the config's test split."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from infopro_seg.checkpoints import read_checkpoint
from infopro_seg.datasets.checks.whole_images import require_images
from infopro_seg.errors import ConfigError
from infopro_seg.evaluation.validations import numbers, validations_of
from infopro_seg.hooks.checkpoint_guard import trained_classes
from infopro_seg.outputs import require_folder
from infopro_seg.tasks import refuse_classifier
from infopro_seg.training.runners import build_runner


def evaluate_classifier(cfg: Config, tta: bool, out: str | None) -> tuple[Any, dict[str, Any]]:
    """Tests a classifier.

    Args:
        cfg: its config, without cuts, with the checkpoint as `load_from`.
        tta: rejected if set.
        out: rejected if set.

    Returns:
        mmengine's runner; and the metrics in percent, the number of images, and the checkpoint's
        `validations`.

    Raises:
        UserError: the config, the data or the checkpoint is wrong.
    """
    if tta:
        refuse_classifier(cfg, '--tta')
    if out is not None:
        refuse_classifier(cfg, '--out', 'tools/predict.py writes the class of each image')
    if not cfg.get('test_dataloader'):
        raise ConfigError(
            f'the config {cfg.filename} has no test_dataloader; write one, e.g. '
            'test_dataloader = val_dataloader'
        )
    require_folder(cfg.work_dir, '--work-dir')
    checkpoint = read_checkpoint(cfg.load_from)
    require_images(cfg, ('test',))
    runner: Any = build_runner(cfg)
    dataset = runner.test_loop.dataloader.dataset
    trained = trained_classes(checkpoint)
    tested = tuple(getattr(dataset, 'metainfo', {}).get('classes') or ())  # a user's own may name none
    if trained and tested and set(trained) != set(tested):  # another order is refused when it is loaded
        runner.logger.warning(
            f'the network was trained on the classes {trained}, and the test split has {tested}: a label '
            'counts as right where the ids are the same; give both the same folders or metainfo'
        )
    metrics = runner.test()
    return runner, {
        'percent': numbers(metrics),
        'images': len(dataset),
        'validations': validations_of(checkpoint),
    }
