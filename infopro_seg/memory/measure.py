"""Measures one recipe in a process of its own: really trains on synthetic tensors."""

from __future__ import annotations

import json
import statistics
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor

import infopro_seg.register  # noqa: F401
from infopro_seg.inference import without_pretraining
from infopro_seg.memory.fake_model import build_model
from infopro_seg.memory.setup import TrainingSetup

WARMUP = 3  # iterations before the measured ones: allocator and cuDNN settle
CROP_STEP = 64  # pixels; heights of crops that are tried, twice as wide


class Trial:
    """A model that trains on synthetic tensors.

    Args:
        cfg: a config, its recipe included.
        setup: batch, crop and precision.
    """

    def __init__(self, cfg: Config, setup: TrainingSetup) -> None:
        init_default_scope('mmseg')
        self.setup = setup
        self.device = 'cuda' if torch.cuda.is_available() else 'cpu'
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        cfg = without_pretraining(cfg)
        self.model = build_model(cfg, setup.crop).to(self.device)
        wrapper = {**cfg.optim_wrapper, **self._precision(), 'accumulative_counts': 1}
        self.optim_wrapper = build_optim_wrapper(self.model, wrapper)
        self.data = synthetic_batch(setup)

    def step(self) -> None:
        """One training iteration."""
        self.model.train_step(self.data, self.optim_wrapper)

    def seconds(self, iterations: int) -> list[float]:
        """The time of each of some iterations."""
        times = []
        for _ in range(iterations):
            self._wait()
            start = time.perf_counter()
            self.step()
            self._wait()
            times.append(time.perf_counter() - start)
        return times

    def _wait(self) -> None:
        if self.device == 'cuda':
            torch.cuda.synchronize()

    def _precision(self) -> dict[str, Any]:
        if self.setup.amp is None:
            return {'type': 'OptimWrapper'}
        if self.device == 'cpu':
            return {'type': 'CPUAmpOptimWrapper'}
        dtype = {'fp16': 'float16', 'bf16': 'bfloat16'}[self.setup.amp]
        return {'type': 'AmpOptimWrapper', 'dtype': dtype}


def synthetic_batch(setup: TrainingSetup) -> dict[str, Any]:
    """Random images and labels, one pixel in ten ignored, collated as a data loader gives them."""
    generator = torch.Generator().manual_seed(0)
    height, width = setup.crop
    images, samples = [], []
    for _ in range(setup.batch):
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


def measure(cfg: Config, setup: TrainingSetup, iterations: int) -> dict[str, Any]:
    """Measures time and memory of a recipe.

    Returns:
        `seconds` (median), `seconds_min`, `seconds_max`, `images_per_second`; on a GPU the peaks
        `allocated_bytes` and `reserved_bytes`; on a CPU `saved_for_backward_bytes`, the most bytes that
        the graph kept for backward passes at any time.
    """
    trial = Trial(cfg, setup)
    trial.seconds(WARMUP if trial.device == 'cuda' else 1)
    found: dict[str, Any] = {}
    if trial.device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
    times = trial.seconds(iterations)
    if trial.device == 'cuda':
        found['allocated_bytes'] = torch.cuda.max_memory_allocated()
        found['reserved_bytes'] = torch.cuda.max_memory_reserved()
    else:
        with SavedForBackward() as saved:
            trial.step()
        found['saved_for_backward_bytes'] = saved.peak
    median = statistics.median(times)
    return {
        **found,
        'seconds': median,
        'seconds_min': min(times),
        'seconds_max': max(times),
        'images_per_second': setup.batch / median,
        'iterations': iterations,
    }


class SavedForBackward:
    """Counts the bytes that graphs keep for backward passes, each storage once; `peak` is their most.

    What the policies `norms` and `expansions` keep is held outside the graph and not counted.
    """

    def __init__(self) -> None:
        self.peak = self.live = 0
        self._storages: dict[int, int] = {}
        self._hooks: AbstractContextManager[None] = torch.autograd.graph.saved_tensors_hooks(
            self._pack, lambda handle: handle.tensor
        )

    def __enter__(self) -> SavedForBackward:
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._hooks.__exit__(*error)

    def _pack(self, tensor: Tensor) -> _Handle:
        key, size = tensor.untyped_storage().data_ptr(), tensor.untyped_storage().nbytes()
        if not self._storages.get(key):
            self.live += size
            self.peak = max(self.peak, self.live)
        self._storages[key] = self._storages.get(key, 0) + 1
        handle = _Handle(tensor)
        weakref.finalize(handle, self._release, key, size)
        return handle

    def _release(self, key: int, size: int) -> None:
        self._storages[key] -= 1
        if not self._storages[key]:
            self.live -= size


class _Handle:
    """What the graph holds in place of a tensor; it dies with the graph."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def largest_crop(cfg: Config, setup: TrainingSetup, budget: int) -> tuple[int, int] | None:
    """Finds by trial the largest crop, twice as wide as high, that trains within a budget on this GPU."""
    torch.cuda.set_per_process_memory_fraction(budget / torch.cuda.get_device_properties(0).total_memory)

    def fits(height: int) -> bool:
        try:
            Trial(cfg, TrainingSetup(setup.batch, (height, 2 * height), setup.amp)).seconds(2)
        except torch.cuda.OutOfMemoryError:
            return False
        finally:
            torch.cuda.empty_cache()
        return True

    height = largest(fits)
    return None if height is None else (height, 2 * height)


def largest(fits: Callable[[int], bool]) -> int | None:
    """The largest multiple of `CROP_STEP` for which `fits` holds, by doubling and bisection."""
    low, high = 0, 1
    while fits(high * CROP_STEP):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle * CROP_STEP) else (low, middle)
    return low * CROP_STEP or None


def main(request: Path) -> None:
    """Reads a request (config file, setup, what to measure) and writes the answer beside it."""
    asked = json.loads(request.read_text())
    cfg = Config.fromfile(asked['config'])
    setup = TrainingSetup(asked['batch'], tuple(asked['crop']), asked['amp'])
    try:
        if asked['budget'] is None:
            answer = measure(cfg, setup, asked['iterations'])
        else:
            answer = {'max_crop': largest_crop(cfg, setup, asked['budget'])}
    except torch.cuda.OutOfMemoryError:
        answer = {'error': 'out of memory'}
    request.with_suffix('.answer.json').write_text(json.dumps(answer))


if __name__ == '__main__':
    main(Path(sys.argv[1]))
