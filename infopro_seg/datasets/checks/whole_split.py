"""Checks a whole split: every file once, in parallel, summarised in one report."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mmengine.config import Config
from rich.progress import Progress

from infopro_seg.datasets.checks.contents import too_dark, too_few_classes
from infopro_seg.datasets.checks.inspection import Inspection, Pair, inspect
from infopro_seg.datasets.checks.pairs import Split, list_split
from infopro_seg.datasets.checks.palettes import Palettes
from infopro_seg.datasets.label_ids import IGNORED
from infopro_seg.datasets.problems import Problem
from infopro_seg.errors import UserError
from infopro_seg.parallel import map_processes

CHUNK = 4  # pairs per message between processes


@dataclass
class SplitReport:
    """The contents of a split.

    Args:
        split: the checked split.
        expected: mean and std of each channel in the config's data preprocessor, if it normalises, in the
            order of `channels`.
        channels: the preprocessor's order of channels, RGB or BGR.
        problems: the problems, file by file.
        sizes: number of images of each width and height.
        image_modes: number of images of each mode.
        label_modes: number of label images of each mode.
        pixels: number of labelled pixels by class index, (256,) int64, including indices outside the classes
            and 255.
        images: number of label images that contain each class index, (256,) int64.
        labels: number of label images read.
        paged: images with several pages or frames, of which the first is read.
        turned: images that their EXIF orientation rotates.
        labels_turned: images whose labels are rotated with them.
        unlabelled: label images in which every pixel is ignored.
        usable: pairs without problems, each with the class indices that it contains, (256,) bool.
        image_pixels: number of pixels of all images read.
        sums: sum of each channel over all images, BGR.
        squares: sum of squares of each channel.
        highest: the highest value of the 16-bit images, as they are read; None if there are none.
        palettes: the colours of label images with a palette.
    """

    split: Split
    expected: tuple[np.ndarray, np.ndarray] | None = None
    channels: str = 'BGR'
    problems: list[Problem] = field(default_factory=list)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    image_modes: Counter[str] = field(default_factory=Counter)
    label_modes: Counter[str] = field(default_factory=Counter)
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(256, dtype=np.int64))
    images: np.ndarray = field(default_factory=lambda: np.zeros(256, dtype=np.int64))
    labels: int = 0
    paged: list[Pair] = field(default_factory=list)
    turned: list[Pair] = field(default_factory=list)
    labels_turned: list[Pair] = field(default_factory=list)
    unlabelled: list[Pair] = field(default_factory=list)
    usable: list[tuple[Pair, np.ndarray]] = field(default_factory=list)
    image_pixels: int = 0
    sums: np.ndarray = field(default_factory=lambda: np.zeros(0))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(0))
    highest: int | None = None
    palettes: Palettes = field(default_factory=Palettes)

    def add(self, pair: Pair, found: Inspection) -> None:
        """Adds a pair to the report."""
        self.problems += found.problems
        self.palettes.add(pair, found)
        if found.image_mode is not None:
            self.image_modes[found.image_mode] += 1
        if found.label_mode is not None:
            self.label_modes[found.label_mode] += 1
        if found.highest is not None:
            self.highest = max(self.highest or 0, found.highest)
        if found.pages > 1:
            self.paged.append(pair)
        if found.turned > 1:
            self.turned.append(pair)
        if found.labels_turned:
            self.labels_turned.append(pair)
        if found.size is not None:
            self.sizes[found.size] += 1
            self._add_moments(pair, found)
        if found.counts is not None:
            self.labels += 1
            self.pixels += found.counts
            self.images += found.counts > 0
            if found.counts[IGNORED] == found.counts.sum():
                self.unlabelled.append(pair)
            if found.usable:
                self.usable.append((pair, found.counts > 0))

    def _add_moments(self, pair: Pair, found: Inspection) -> None:
        if self.image_pixels == 0:
            self.sums, self.squares = np.zeros_like(found.sums), np.zeros_like(found.squares)
        if len(found.sums) != len(self.sums):
            what = f'has {len(found.sums)} channels, others have {len(self.sums)}'
            remedy = "convert it, or load images with color_type='color'"
            self.problems.append(Problem(pair.image, what, remedy))
            return
        self.image_pixels += found.pixels
        self.sums += found.sums
        self.squares += found.squares

    @property
    def mean(self) -> np.ndarray | None:
        """Mean of each channel over all pixels of all images, (C,), in the order of `channels`."""
        return self._ordered(self.sums / self.image_pixels) if self.image_pixels else None

    @property
    def std(self) -> np.ndarray | None:
        """Standard deviation of each channel over all pixels of all images, (C,), as `mean`."""
        if not self.image_pixels:
            return None
        variance = self.squares / self.image_pixels - (self.sums / self.image_pixels) ** 2
        return self._ordered(np.sqrt(np.maximum(variance, 0)))

    @property
    def ignored_share(self) -> float:
        """Share of labelled pixels that are ignored in losses and metrics."""
        total = int(self.pixels.sum())
        return int(self.pixels[IGNORED]) / total if total else 0.0

    def _ordered(self, values: np.ndarray) -> np.ndarray:
        return values[::-1] if self.channels == 'RGB' and len(values) == 3 else values


def check_split(
    config: Config, split: str = 'train', workers: int | None = None, progress: Progress | None = None
) -> SplitReport:
    """Reads every image and label image of a split once and reports their contents.

    Args:
        config: a whole config.
        split: train, val or test.
        workers: number of processes; one per core by default.
        progress: the progress bar.

    Raises:
        UserError: the config has no such split, or the split has no data.
    """
    if workers is not None and workers < 1:
        raise UserError(f'cannot work with {workers} workers; give 1 or more')
    listed = list_split(config, split)
    report = SplitReport(listed, *_normalisation(config), problems=list(listed.problems))
    task = progress.add_task(f'checking {split}', total=len(listed.pairs)) if progress else None
    for pair, found in zip(listed.pairs, map_processes(inspect, listed.pairs, workers, CHUNK), strict=True):
        report.add(pair, found)
        if progress is not None and task is not None:
            progress.advance(task)
    report.problems += too_dark(listed.pairs, [report.highest], split)
    report.problems += report.palettes.problems()
    if report.labels:
        seen = set(np.flatnonzero(report.pixels).tolist())
        report.problems += too_few_classes(listed.pairs, seen, split, listed.classes)
    return report


def _normalisation(config: Config) -> tuple[tuple[np.ndarray, np.ndarray] | None, str]:
    """Mean and std in the data preprocessor, if it has them, and their order of channels."""
    preprocessor: dict[str, Any] = config.get('model', {}).get('data_preprocessor') or config.get(
        'data_preprocessor', {}
    )
    channels = 'RGB' if preprocessor.get('bgr_to_rgb') or preprocessor.get('rgb_to_bgr') else 'BGR'
    mean, std = preprocessor.get('mean'), preprocessor.get('std')
    if mean is None or std is None:
        return None, channels
    return (np.array(mean, dtype=np.float64), np.array(std, dtype=np.float64)), channels
