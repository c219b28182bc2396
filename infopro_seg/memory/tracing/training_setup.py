"""The setup of a training step: batch, crop, precision and accumulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infopro_seg.config_edits import height_and_width, is_random_crop
from infopro_seg.errors import ConfigError, UserError


@dataclass(frozen=True)
class TrainingSetup:
    """Images per process, crop (height, width) in pixels, precision and iterations per optimizer step."""

    batch: int
    crop: tuple[int, int]
    amp: str | None = None
    accumulation: int = 1

    def __str__(self) -> str:
        accumulated = f', {self.accumulation} iterations accumulated' if self.accumulation > 1 else ''
        height, width = self.crop
        return f'batch {self.batch}, crop {height}x{width}, {self.amp or "fp32"}{accumulated}'


def training_setup(
    cfg: Any, batch: int | None = None, crop: tuple[int, int] | None = None, amp: str | None = None
) -> TrainingSetup:
    """Reads batch, crop, precision and accumulation of a config; arguments override them.

    Raises:
        ConfigError: batch or crop is neither an argument nor in the config.
        UserError: batch, height or width is below 1.
    """
    if batch is None:
        batch = (cfg.get('train_dataloader') or {}).get('batch_size')
    if batch is None:
        raise ConfigError(
            'the config does not say how many images a step has; set train_dataloader.batch_size, or pass '
            '--batch'
        )
    if crop is None:
        crop = _crop(cfg)
    if crop is None:
        raise ConfigError(
            'the config does not say how large training images are; set data_preprocessor.size to '
            '(height, width), or pass --crop HEIGHT WIDTH'
        )
    if min(batch, *crop) < 1:
        raise UserError(
            f'a step of {batch} images of {crop[0]}x{crop[1]} pixels trains nothing; give --batch and --crop '
            'numbers of 1 or more'
        )
    wrapper = cfg.get('optim_wrapper') or {}
    return TrainingSetup(
        int(batch),
        crop,
        own_precision(cfg) if amp is None else amp,
        int(wrapper.get('accumulative_counts', 1)),
    )


def own_precision(cfg: Any) -> str | None:
    """The precision that a config's `optim_wrapper` trains in: 'fp16', 'bf16', or None for float32."""
    wrapper = cfg.get('optim_wrapper') or {}
    kind = str(wrapper.get('type', ''))
    if 'Amp' not in kind:
        return None
    if 'CPUAmp' in kind:
        return 'bf16'  # it takes no dtype
    return 'bf16' if 'bfloat16' in str(wrapper.get('dtype', '')) else 'fp16'


def _crop(cfg: Any) -> tuple[int, int] | None:
    preprocessors = [cfg.get('model', {}).get('data_preprocessor'), cfg.get('data_preprocessor')]
    found = [p.get('size') for p in preprocessors if p]
    pipeline = (cfg.get('train_dataloader') or {}).get('dataset', {}).get('pipeline')
    for step in pipeline or cfg.get('train_pipeline') or []:
        if is_random_crop(step):
            found.append(step['crop_size'])
    found.append(cfg.get('crop_size'))
    for size in found:
        if size is not None:
            return height_and_width(size)
    return None
