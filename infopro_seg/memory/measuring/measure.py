"""Measures one recipe by training it on synthetic images."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import replace
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.utils._pytree import tree_leaves

from infopro_seg.memory.quantities import largest
from infopro_seg.memory.tracing.fake_model import SGD, build_model, label_of_image
from infopro_seg.memory.tracing.storages import StorageTracker
from infopro_seg.memory.tracing.training_setup import TrainingSetup
from infopro_seg.precision import use_tf32
from infopro_seg.tasks import is_classifier
from infopro_seg.warm_up import warm_up_iterations

SCALES = 20  # most steps that float16's loss scaling skips until gradients are finite
AMP_OPTIONS = ('loss_scale', 'dtype', 'use_fsdp')  # which only `AmpOptimWrapper` takes
CROP_STEP = 64  # pixels; crops to try have multiples of this height and are twice as wide


class Trial:
    """A model that trains on synthetic images.

    Args:
        cfg: a config that trains by the recipe.
        setup: batch, crop and precision.
    """

    def __init__(self, cfg: Config, setup: TrainingSetup) -> None:
        init_default_scope('mmseg')
        self.setup = setup
        self.device = 'cuda' if torch.cuda.is_available() else 'cpu'
        env_cfg = cfg.get('env_cfg', {})
        torch.backends.cudnn.benchmark = bool(env_cfg.get('cudnn_benchmark', False))
        use_tf32(env_cfg)
        self.model = build_model(cfg, setup.crop).to(self.device)
        self.optim_wrapper = build_optim_wrapper(self.model, self._wrapper(cfg))
        self.data = synthetic_batch(setup, is_classifier(cfg))

    def step(self) -> None:
        """One training iteration."""
        self.model.train_step(self.data, self.optim_wrapper)

    def seconds(self, iterations: int) -> list[float]:
        """The seconds that each of some iterations takes."""
        times = []
        for _ in range(iterations):
            self._synchronize()
            start = time.perf_counter()
            self.step()
            self._synchronize()
            times.append(time.perf_counter() - start)
        return times

    def warm_up(self) -> None:
        """Trains until time and memory settle and the optimizer has its state."""
        self.seconds(warm_up_iterations(self.setup.accumulation))
        scales = SCALES if hasattr(self.optim_wrapper, 'loss_scaler') else 0
        for _ in range(scales * self.setup.accumulation):
            if self.optim_wrapper.optimizer.state:
                break
            self.step()

    def state(self) -> list[Tensor]:
        """The tensors that are alive between steps."""
        parameters = list(self.model.parameters())
        states = [t for s in self.optim_wrapper.optimizer.state.values() for t in s.values()]
        gradients = [p.grad for p in parameters if p.grad is not None]
        found = [*parameters, *self.model.buffers(), *gradients, *states]
        return [tensor for tensor in found if isinstance(tensor, Tensor)]

    def _synchronize(self) -> None:
        if self.device == 'cuda':
            torch.cuda.synchronize()

    def _wrapper(self, cfg: Config) -> dict[str, Any]:
        """The config's optimizer wrapper, in the precision of the trial."""
        given = cfg.get('optim_wrapper') or {'optimizer': SGD}  # as the planner takes it
        own = {key: value for key, value in given.items() if key not in AMP_OPTIONS}
        scaling = {key: given[key] for key in AMP_OPTIONS if key in given}
        if isinstance(own.get('clip_grad'), dict):  # clipping by module takes as long as by the whole
            own['clip_grad'] = {k: v for k, v in own['clip_grad'].items() if k != 'per_module'}
        own['accumulative_counts'] = self.setup.accumulation
        if self.setup.amp is None:
            return {**own, 'type': 'OptimWrapper'}
        if self.device == 'cpu':
            return {**own, 'type': 'CPUAmpOptimWrapper'}
        dtype = {'fp16': 'float16', 'bf16': 'bfloat16'}[self.setup.amp]
        return {**own, **scaling, 'type': 'AmpOptimWrapper', 'dtype': dtype}


def synthetic_batch(setup: TrainingSetup, classifies: bool = False) -> dict[str, Any]:
    """Random images and labels, one pixel in ten ignored, as a data loader collates them.

    Args:
        setup: number and size of the images.
        classifies: whether each image has one label, not one per pixel.
    """
    generator = torch.Generator().manual_seed(0)
    height, width = setup.crop
    images, samples = [], []
    for index in range(setup.batch):
        if classifies:
            images.append(torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator))
            samples.append(label_of_image(torch.tensor([index % 2])))
            continue
        labels = torch.randint(0, 2, (1, height, width), generator=generator)
        labels[torch.rand(labels.shape, generator=generator) < 0.1] = 255
        images.append(torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator))
        samples.append(
            SegDataSample(
                gt_sem_seg=PixelData(data=labels),
                metainfo={'img_shape': setup.crop, 'ori_shape': setup.crop, 'pad_shape': setup.crop},
            )
        )
    return {'inputs': images, 'data_samples': samples}


def label_of(sample: Any) -> Tensor:
    """The labels of a sample's pixels, (1, H, W), or the label of the whole image, (1,)."""
    label: Tensor = sample.gt_sem_seg.data if 'gt_sem_seg' in sample else sample.gt_label
    return label


def measure(cfg: Config, setup: TrainingSetup, iterations: int) -> dict[str, Any]:
    """Measures the time and memory of a recipe.

    Returns:
        `seconds` (median), `seconds_min`, `seconds_max`, `images_per_second`; on a GPU the peaks
        `allocated_bytes` and `reserved_bytes`; on a CPU `live_bytes`, the peak of the tensors' bytes.
    """
    trial = Trial(cfg, setup)
    trial.warm_up()
    found: dict[str, Any] = {}
    iterations = max(iterations, setup.accumulation)  # so that they include an optimizer step
    if trial.device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    times = trial.seconds(iterations)
    if trial.device == 'cuda':
        found['allocated_bytes'] = torch.cuda.max_memory_allocated()
        found['reserved_bytes'] = torch.cuda.max_memory_reserved()
    else:
        found['live_bytes'] = live_peak(trial)
    median = statistics.median(times)
    return {
        **found,
        'seconds': median,
        'seconds_min': min(times),
        'seconds_max': max(times),
        'images_per_second': setup.batch / median,
        'iterations': iterations,
    }


def live_peak(trial: Trial) -> int:
    """The peak of live bytes in a step of a warmed-up trial.

    It is what :func:`infopro_seg.memory.tracing.step.trace_step` predicts, counted on real tensors. The
    optimizer updates all parameters at once, which is torch's default on a GPU.
    """
    for group in trial.optim_wrapper.optimizer.param_groups:
        if group.get('foreach', True) is None:
            group['foreach'] = True
    with StorageTracker(values=True) as tracker:
        with tracker.paused():  # in a training on a GPU, these tensors are in main memory
            tracker.follow(
                tree_leaves(
                    [trial.data['inputs'], [label_of(sample) for sample in trial.data['data_samples']]]
                )
            )
        tracker.follow(trial.state())
        for _ in range(min(trial.setup.accumulation, 2)):  # the second one begins with gradients
            trial.step()
        peak: int = tracker.peak
    return peak


def largest_crop(cfg: Config, setup: TrainingSetup, budget: int) -> tuple[int, int] | None:
    """Finds by trial the largest crop, twice as wide as high, that trains within a budget on this GPU."""
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(budget / total, 1.0))

    def fits(height: int) -> bool:
        gc.collect()  # the last trial, and its traceback
        torch.cuda.empty_cache()
        try:
            trial = Trial(cfg, replace(setup, crop=(height, 2 * height)))
            trial.warm_up()
            trial.seconds(setup.accumulation)
        except RuntimeError as error:
            if out_of_memory(error):
                return False
            raise
        return True

    height = CROP_STEP * largest(lambda steps: fits(steps * CROP_STEP))
    return (height, 2 * height) if height else None


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of PyTorch or of a CUDA library says that the GPU's memory is full."""
    text = str(error)
    return isinstance(error, torch.OutOfMemoryError) or 'out of memory' in text or 'ALLOC_FAILED' in text
