"""Traces one prediction on fake tensors, to find its peak."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from mmseg.structures import SegDataSample

from infopro_seg.config_edits import without_local_modules
from infopro_seg.evaluation.tta import TTAModel
from infopro_seg.logit_maps.row_maps import bands
from infopro_seg.memory.inference.repeated_windows import trace_repeats_once
from infopro_seg.memory.tracing.autocast import autocast
from infopro_seg.memory.tracing.fake_model import build_model, build_optimizer, fake_tensors
from infopro_seg.models.bounded_prediction import BoundedPrediction


@dataclass(frozen=True)
class PredictionTrace:
    """The bytes of a prediction.

    Args:
        peak: peak bytes.
        held: bytes alive before it: the network, and in training the optimizer's state.
    """

    peak: int
    held: int


def trace_prediction(
    cfg: Any,
    size: tuple[int, int],
    amp: str | None = None,
    variants: tuple[tuple[float, bool], ...] = (),
    in_training: bool = False,
    batch: int = 1,
) -> PredictionTrace:
    """Traces the prediction of images: the model's real `predict`, on fake tensors, without a GPU.

    Args:
        cfg: a config with `model`.
        size: height and width of the images, in pixels.
        amp: 'fp16' or 'bf16' for autocast to it, None for float32.
        variants: scale and flip of each variant of the image, if several are averaged; else none.
        in_training: whether it is a validation, with local heads and the optimizer's state in memory.
        batch: number of images to predict at once.

    Raises:
        UserError: the model asks for values, which a fake tensor does not have.
        ConfigError: the model cannot be built.
    """
    cfg = copy.deepcopy(cfg)
    if not in_training:
        cfg.model = without_local_modules(cfg.model)
    with fake_tensors() as tracker, torch.no_grad():
        model = build_model(cfg, size)
        optimizer = None
        if in_training:
            with torch.enable_grad():
                optimizer = build_optimizer(cfg, model)
        model.eval()
        if isinstance(model, BoundedPrediction):  # models of stock mmseg are not
            trace_repeats_once(model, tracker)
        if (model.test_cfg or {}).get('mode') != 'slide':
            model.row_bands = distinct_bands
        kinds = variants or ((1.0, False),)
        batches = [_samples(batch, size, scale, flip, tracker) for scale, flip in kinds]
        held = tracker.live
        before = len(tracker.phases)
        tracker.begin('predict')
        with autocast(amp):
            if variants:
                data = {key: [one[key] for one in batches] for key in batches[0]}
                TTAModel(module=model).test_step(data)
            else:
                model.test_step(batches[0])
        del optimizer
        return PredictionTrace(peak=max(phase.peak for phase in tracker.phases[before:]), held=held)


def distinct_bands(size: tuple[int, int], channels: int) -> Iterator[tuple[int, int]]:
    """The first bands of rows of a whole image, and the last; see :func:`bands`.

    The bands between take the same memory. A large image has thousands of them, which would take minutes to
    trace.

    Args:
        size: height and width of the image, in pixels.
        channels: channels of the logits.
    """
    found = [*bands(size, channels)]
    yield from [*found[:3], *found[3:][-1:]]


def _samples(count: int, size: tuple[int, int], scale: float, flip: bool, tracker: Any) -> dict[str, Any]:
    """A batch as a data loader gives it; being on the CPU, it takes no GPU memory."""
    height, width = (round(length * scale) for length in size)
    meta: dict[str, Any] = {'img_shape': (height, width), 'ori_shape': size, 'img_path': ''}
    meta |= {'flip': flip, 'flip_direction': 'horizontal'}
    with tracker.paused():
        images = [torch.empty((3, height, width), dtype=torch.uint8) for _ in range(count)]
    return {'inputs': images, 'data_samples': [SegDataSample(metainfo=dict(meta)) for _ in images]}
