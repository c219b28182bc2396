"""The results of a finished training: metrics.json, curves.png and panel.png."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import mmengine
import mmseg
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

import infopro_seg
from infopro_seg.drawing.attempt import drawing
from infopro_seg.errors import ConfigError
from infopro_seg.evaluation.iou import CLASS_IOU
from infopro_seg.evaluation.validations import add_validation, numbers, validations
from infopro_seg.hooks.early_stop import is_finished
from infopro_seg.strict_json import finite, write_json
from infopro_seg.tasks import is_classifier
from infopro_seg.visualization.curves import draw_curves
from infopro_seg.visualization.panel import draw_panel, run_panel
from infopro_seg.visualization.training_log import read_log
from infopro_seg.warm_up import warm_up_iterations

METRICS, CURVES, PANEL = 'metrics.json', 'curves.png', 'panel.png'


@HOOKS.register_module()
class ResultsHook(Hook):
    """Writes `metrics.json`, `curves.png` and `panel.png` into the work dir when training finishes.

    Without a validation, and for a classifier, there is no panel, and the metrics contain no mIoU. Numbers
    are written first; if a picture cannot be drawn, there is a warning.

    Args:
        rows: number of images in the panel.
        split: `val` for the results of the last validation, or `test` to evaluate the test split at the end.

    Raises:
        ConfigError: `split` is neither `val` nor `test`.
    """

    priority = 'NORMAL'  # before mmengine's LoggerHook, which resets the peak of the GPU's memory

    def __init__(self, rows: int = 4, split: str = 'val') -> None:
        if split not in ('val', 'test'):
            raise ConfigError(f'ResultsHook has split={split!r}; choose from val, test')
        self.rows = rows
        self.split = split
        self.metrics: dict[str, float] = {}
        self.peak_memory: dict[str, int] = {}
        self.measured = 0  # iterations of this process

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Forgets the peak memory of the first iterations, which as in a benchmark do not count."""
        accumulation = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        if self.measured == warm_up_iterations(accumulation):  # and the log has shown their peak
            self.peak_memory.clear()
            reset_peak_memory()

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Records the peak memory of the iterations."""
        for name, value in peak_memory().items():
            self.peak_memory[name] = max(value, self.peak_memory.get(name, 0))
        self.measured += 1

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Records the metrics of a validation, but not its memory."""
        self.metrics = dict(metrics or {})
        add_validation(runner.message_hub, runner.iter, self.metrics)
        reset_peak_memory()

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Records the metrics of the test."""
        self.metrics = dict(metrics or {})

    def after_train(self, runner: Any) -> None:
        """Writes the results, unless the run was interrupted."""
        if not is_finished(runner):
            return
        loop = runner.val_loop if self.split == 'val' else runner.test_loop if _is_whole(runner.cfg) else None
        if loop is not None and (self.split == 'test' or not self.metrics):
            loop.run()  # the validation loop: the run was already finished when it was resumed
        shown = None if loop is None or is_classifier(runner.cfg) else loop.dataloader.dataset
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        together = getattr(runner.model, 'together', None)  # of processes that hold a local module each
        if not is_main_process():
            if shown is not None and together is not None and runner.model.is_with_first_rank:
                with together(), averaged(runner), drawing(PANEL, runner.logger.warning):
                    run_panel(model, shown, self.rows)
            return
        folder = Path(runner.work_dir)
        write_json(folder / METRICS, self._results(runner))
        runner.logger.info(f'results: {folder / METRICS}')
        curves, panel = folder / CURVES, folder / PANEL
        with drawing(curves, runner.logger.warning):
            draw_curves(read_log(runner.message_hub, runner.iter), curves)
        if shown is not None:
            with (together or nullcontext)(), averaged(runner), drawing(panel, runner.logger.warning):
                draw_panel(model, shown, panel, self.rows)

    def _results(self, runner: Any) -> dict[str, Any]:
        hub = runner.message_hub
        time = hub.log_scalars.get('train/time')  # of the IterTimerHook, which a config may leave out
        return {
            **iou_results(hub.get_info(CLASS_IOU), self.metrics),
            'percent': numbers(self.metrics),
            'validations': validations(hub),
            'iterations': runner.iter,
            'seconds': None if time is None else round(float(time.data[0].sum()), 1),
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


@contextmanager
def averaged(runner: Any) -> Iterator[None]:
    """Inside the block, the model has the weights that an EMAHook averages, as in a validation."""
    hooks = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
    for hook in hooks:
        hook._swap_ema_parameters()
    try:
        yield
    finally:
        for hook in hooks:
            hook._swap_ema_parameters()


def _is_whole(cfg: Any) -> bool:
    """Whether the network is complete and can be tested; before the last turn it is not."""
    backbone = (cfg.get('model') or {}).get('backbone') or {}
    return backbone.get('stage') in (None, len(backbone.get('cuts') or ()))


def splits_read(cfg: Any) -> tuple[str, ...]:
    """The splits that a training reads: train and val, and test if the results are those of test."""
    of_test = any(hook.get('split') == 'test' for hook in cfg.get('custom_hooks') or ())
    return ('train', 'val', 'test') if of_test else ('train', 'val')


def iou_results(class_iou: dict[str, Any] | None, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The evaluation as JSON: `mIoU` and `IoU` by class, as fractions; None for a class that never occurs.

    Args:
        class_iou: what our own metric has left; None after another, such as mmseg's `IoUMetric`.
        metrics: in percent, as the evaluation gave them.
    """
    if class_iou is None:
        miou = metrics.get('mIoU')
        class_iou = {'mIoU': None if miou is None else miou / 100, 'classes': {}}
    found: dict[str, Any] = finite({'mIoU': class_iou['mIoU'], 'IoU': class_iou['classes']})
    return found


def device_name() -> str:
    """The GPU's name, or `cpu`."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'


def reset_peak_memory() -> None:
    """Resets the GPU's peak memory; that of a process on a CPU cannot be reset."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> dict[str, int]:
    """The measured peak memory in bytes: of the GPU, or of the whole process if there is no GPU."""
    if torch.cuda.is_available():
        return {
            'allocated_bytes': torch.cuda.max_memory_allocated(),
            'reserved_bytes': torch.cuda.max_memory_reserved(),
        }
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {'resident_bytes': kibibytes * 1024}
