"""What a finished run leaves for its user: metrics.json and panel.png."""

from __future__ import annotations

import json
import math
import resource
from pathlib import Path
from typing import Any

import mmengine
import mmseg
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

import infopro_seg
from infopro_seg.errors import ConfigError
from infopro_seg.evaluation.iou import CLASS_IOU
from infopro_seg.visualization.panel import draw_panel

METRICS = 'metrics.json'


@HOOKS.register_module()
class ResultsHook(Hook):
    """Writes `metrics.json` and `panel.png` into the work dir when the training is through.

    Without a validation there is no panel, and no mIoU among the metrics.

    Args:
        rows: how many images the panel shows.
        split: what the results are of: `val`, by the last validation, or `test`, evaluated once at the end.

    Raises:
        ConfigError: there is no such split.
    """

    priority = 'NORMAL'  # before mmengine's LoggerHook, which resets the peak of the GPU's memory

    def __init__(self, rows: int = 4, split: str = 'val') -> None:
        if split not in ('val', 'test'):
            raise ConfigError(f'ResultsHook has split={split!r}; choose from val, test')
        self.rows = rows
        self.split = split
        self.metrics: dict[str, float] = {}
        self.peak_memory: dict[str, int] = {}

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Keeps the peak memory of the iterations."""
        for name, value in peak_memory().items():
            self.peak_memory[name] = max(value, self.peak_memory.get(name, 0))

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Keeps the metrics of the latest validation, but not its memory."""
        self.metrics = dict(metrics or {})
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Keeps the metrics of the test."""
        self.metrics = dict(metrics or {})

    def after_train(self, runner: Any) -> None:
        """Writes the results of a run that has reached its last iteration."""
        if runner.iter < runner.max_iters:
            return
        loop = runner.val_loop if self.split == 'val' or runner.val_loop is None else runner.test_loop
        if loop is not None and (self.split == 'test' or not self.metrics):
            loop.run()  # of val: it was at its end already when it was resumed
        if not is_main_process():
            return
        folder = Path(runner.work_dir)
        if loop is not None:
            model = runner.model.module if is_model_wrapper(runner.model) else runner.model
            draw_panel(model, loop.dataloader.dataset, folder / 'panel.png', self.rows)
        hub = runner.message_hub
        times, _ = hub.get_scalar('train/time').data
        results = {
            **iou_results(hub.get_info(CLASS_IOU)),
            'percent': {name: float(value) for name, value in self.metrics.items()},
            'iterations': runner.iter,
            'seconds': round(float(times.sum()), 1),
            'peak_memory': {'device': device_name(), **self.peak_memory},
            'config': runner.cfg.filename,
            'seed': runner.seed,
            'versions': {
                'infopro_seg': infopro_seg.__version__,
                'torch': torch.__version__,
                'mmengine': mmengine.__version__,
                'mmseg': mmseg.__version__,
            },
        }
        (folder / METRICS).write_text(json.dumps(results, indent=2) + '\n')
        panel = f', {folder / "panel.png"}' if loop is not None else ''
        runner.logger.info(f'results: {folder / METRICS}{panel}')


def splits_read(cfg: Any) -> tuple[str, ...]:
    """The splits that a training reads: train and val, and test where its results are of that."""
    of_test = any(hook.get('split') == 'test' for hook in cfg.get('custom_hooks') or ())
    return ('train', 'val', 'test') if of_test else ('train', 'val')


def iou_results(class_iou: dict[str, Any] | None) -> dict[str, Any]:
    """The evaluation as JSON: `mIoU` and `IoU` by class, as fractions; None for a class never seen."""
    if class_iou is None:
        return {'mIoU': None, 'IoU': {}}
    classes = class_iou['classes']
    return {
        'mIoU': class_iou['mIoU'],
        'IoU': {name: None if math.isnan(value) else value for name, value in classes.items()},
    }


def device_name() -> str:
    """The GPU's name, or `cpu`."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'


def peak_memory() -> dict[str, int]:
    """The peak memory of this process in bytes, as measured; on a CPU that of the whole process."""
    if torch.cuda.is_available():
        return {
            'allocated_bytes': torch.cuda.max_memory_allocated(),
            'reserved_bytes': torch.cuda.max_memory_reserved(),
        }
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {'resident_bytes': kibibytes * 1024}
