"""Tiny data and short runs for the tests that need a trained network, and parts that configs can name."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmseg.registry import TRANSFORMS

from infopro_seg.training.launch import train

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / 'configs' / 'infopro_demo.py'
TRAIN, VAL, SIZE, CROP = 8, 3, (64, 128), (48, 96)
STOPPED, ITERS, BATCH = 3, 6, 2
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')

_runs = itertools.count()


@TRANSFORMS.register_module()
class NoteReads(BaseTransform):
    """Appends the rank and the name of each image that is loaded to a file, also from other processes."""

    def __init__(self, file: str) -> None:
        self.file = file

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        with open(self.file, 'a') as file:
            file.write(f'{get_rank()} {Path(results["img_path"]).name}\n')
        return results


@HOOKS.register_module()
class NoteStart(Hook):
    """Saves the weights before training in `start.pth` and digests of the batches of images in `batches`."""

    def before_train(self, runner: Any) -> None:
        if runner.iter == 0:
            torch.save(runner.model.state_dict(), Path(runner.work_dir) / 'start.pth')

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        found = hashlib.sha256()
        for image in data_batch['inputs']:
            found.update(image.numpy().tobytes())
        with open(Path(runner.work_dir) / 'batches', 'a') as file:
            file.write(f'{found.hexdigest()}\n')


@HOOKS.register_module()
class SignalHook(Hook):
    """Sends a signal during an iteration, to this process or to its whole group (as Ctrl-C does)."""

    def __init__(self, iteration: int, number: int, group: bool = False, rank: int = 0) -> None:
        self.iteration, self.number, self.group, self.rank = iteration, number, group, rank

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None):
        if runner.iter + 1 == self.iteration and runner.rank == self.rank:
            if self.group:
                os.killpg(os.getpgrp(), self.number)
            else:
                os.kill(os.getpid(), self.number)


@HOOKS.register_module()
class NoteGradients(Hook):
    """Leaves the gradients that each rank has after an iteration."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None):
        if runner.iter + 1 == self.iteration:
            gradients = {name: p.grad.clone() for name, p in runner.model.module.named_parameters()}
            torch.save(gradients, Path(runner.work_dir) / f'gradients_{runner.rank}')


@HOOKS.register_module()
class DigestHook(Hook):
    """Leaves a digest of the trained parameters of each rank."""

    def after_train(self, runner: Any) -> None:
        digest = hashlib.sha256()
        for parameter in runner.model.parameters():
            digest.update(parameter.detach().numpy().tobytes())
        (Path(runner.work_dir) / f'digest_{runner.rank}').write_text(digest.hexdigest())


def demo(**changes: Any) -> Config:
    """The demo's config, changed."""
    config = Config.fromfile(str(DEMO))
    config.merge_from_dict(changes)
    return config


def images(streets: Path, split: str = 'train') -> list[Path]:
    return sorted((streets / 'leftImg8bit' / split).glob('*/*.png'))


def copy_streets(streets: Path, out: Path) -> Path:
    shutil.copytree(streets, out)
    return out


def label_file(image: Path, kind: str = 'labelTrainIds') -> Path:
    folder = str(image.parent).replace('leftImg8bit', 'gtFine')
    return Path(folder) / image.name.replace('leftImg8bit', f'gtFine_{kind}')


def tiny_options(
    streets: Path, workers: int = 0, reads: Path | None = None, results: bool = False, **more: Any
) -> dict[str, Any]:
    """Overrides that make the demo a matter of a second, with everything random that a pipeline can be.

    Args:
        workers: of the data loaders.
        reads: a file that gets the order in which images are loaded.
        results: whether to validate and to write results.
        more: further overrides.
    """
    head = {'channels': 4, 'dropout_ratio': 0.5}
    pipeline = [
        {'type': 'LoadImage'},
        {'type': 'LoadLabels', 'num_classes': 19},
        *([{'type': 'NoteReads', 'file': str(reads)}] if reads else []),
        {'type': 'RandomResize', 'scale': SIZE[::-1], 'ratio_range': (0.8, 1.5), 'keep_ratio': True},
        {'type': 'RandomCrop', 'crop_size': CROP, 'cat_max_ratio': 0.75},
        {'type': 'RandomFlip', 'prob': 0.5},
        {'type': 'PhotoMetricDistortion'},
        {'type': 'PackSegInputs'},
    ]
    options: dict[str, Any] = {
        'model.data_preprocessor.size': CROP,
        'model.backbone.encoder.base_channels': 4,
        'model.backbone.encoder.stem_channels': 4,
        'model.backbone.local_head.decoder.channels': (4, 4, 4),
        **{f'model.backbone.local_head.auxiliary_head.{key}': value for key, value in head.items()},
        **{f'model.decode_head.{key}': value for key, value in head.items()},
        'model.decode_head.dilations': (1, 2),
        **{f'{loader}.dataset.data_root': str(streets) for loader in LOADERS},
        **{f'{loader}.num_workers': workers for loader in LOADERS},
        **{f'{loader}.persistent_workers': False for loader in LOADERS},
        'train_dataloader.dataset.pipeline': pipeline,
        'train_dataloader.batch_size': BATCH,
        'val_dataloader.batch_size': 1,
        'train_cfg.max_iters': ITERS,
        'train_cfg.val_interval': STOPPED,
        'param_scheduler': [
            {'type': 'PolyLR', 'eta_min': 1e-4, 'power': 0.9, 'end': ITERS, 'by_epoch': False}
        ],
        'default_hooks.logger.interval': 1,
        'default_hooks.checkpoint.interval': STOPPED,
        'default_hooks.checkpoint.max_keep_ckpts': -1,
        'custom_imports': {'imports': ['infopro_seg.register', 'tests.runs'], 'allow_failed_imports': False},
        'custom_hooks': hooks(),
        'log_level': 'ERROR',
        # mmengine's singletons go by name: without one of its own a run writes into an earlier one's folder
        'experiment_name': f'run_{next(_runs)}',
        'visualizer.name': f'visualizer_{next(_runs)}',
    }
    if results:
        options['custom_hooks'].append({'type': 'ResultsHook'})
    else:
        options |= dict.fromkeys(('val_dataloader', 'val_cfg', 'val_evaluator'))
    return {**options, **more}


def hooks(*more: dict[str, Any]) -> list[dict[str, Any]]:
    """The hooks of the shipped configs but for the results, and more; pictures at a short interval."""
    pictures = {'type': 'ReconstructionHook', 'interval': 2}
    return [{'type': 'CheckpointGuardHook'}, pictures, *more]


def train_tiny(streets: Path, work_dir: Path, resume: str | bool = False, **options: Any) -> Any:
    return train(DEMO, work_dir=str(work_dir), resume=resume, options=tiny_options(streets, **options))


def write_config(path: Path, options: dict[str, Any]) -> Path:
    """The demo's config with overrides, as one file."""
    config = Config.fromfile(str(DEMO))
    config.merge_from_dict(options)
    config.dump(path)
    return path


def make_lively(checkpoint: Path, out: Path) -> Path:
    """A checkpoint that predicts many classes: with other weights in its last, linear layer."""
    content = torch.load(checkpoint, weights_only=False)
    random = torch.Generator().manual_seed(1)
    weight = content['state_dict']['decode_head.conv_seg.weight']
    weight.copy_(torch.randn(weight.shape, generator=random))
    content['state_dict']['decode_head.conv_seg.bias'].copy_(torch.randn(len(weight), generator=random) / 4)
    torch.save(content, out)
    return out


def read_png(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None, path
    return picture


def load(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=False)


SIGINT, SIGTERM = int(signal.SIGINT), int(signal.SIGTERM)
