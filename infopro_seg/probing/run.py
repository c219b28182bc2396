"""Trains and evaluates probes on the features of a frozen network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch

from infopro_seg.models.image import to_rgb, to_uint8
from infopro_seg.probing.network import FrozenEncoder
from infopro_seg.probing.probes import ProbeOptimizer
from infopro_seg.probing.scores import Ignorance, ReconstructionScore, result_of
from infopro_seg.probing.tasks import ProbeTask, batch_labels

LEARNING_RATE = 3e-3

Track = Callable[[Iterable[Any], int], Iterable[Any]]


@dataclass(frozen=True)
class Findings:
    """The results of a network's probes.

    Args:
        blocks: the scores of each block, by its name.
        ignorance: the scores of the best guess that does not depend on the image.
        images: the images shown, (H, W, 3) RGB uint8.
        reconstructions: their reconstructions from each block, by its name.
    """

    blocks: dict[str, dict[str, Any]]
    ignorance: dict[str, float | None]
    images: list[np.ndarray]
    reconstructions: dict[str, list[np.ndarray]]


def fit_probes(
    network: FrozenEncoder,
    task: ProbeTask,
    probes: Mapping[str, Any],
    loader: Iterable[Any],
    iterations: int,
    lr: float = LEARNING_RATE,
    track: Track = lambda steps, total: steps,
) -> None:
    """Trains the probes of all blocks in one pass over batches.

    The network's forward pass pauses at each block until the block's probe has run forward and backward, so
    only one probe's activations are in memory. No probe depends on which others are trained with it.

    Args:
        network: the network, which does not change.
        task: the task of the classifiers.
        probes: a probe for each block, by its name.
        loader: yields batches, at least `iterations` of them.
        iterations: number of iterations.
        lr: learning rate of the first iteration.
        track: shows progress over an iterable of a known length.
    """
    for probe in probes.values():
        probe.train()
    optimizer = ProbeOptimizer(probes, lr, iterations)
    for data in track(islice(loader, iterations), iterations):
        inputs, samples = network.prepare(data, True)
        image = to_rgb(inputs, network.data_preprocessor)
        labels = batch_labels(task, samples)
        features = network.features(inputs, probes)
        optimizer.step(probes[name].loss(feature, image, labels) for name, feature in features)


@torch.no_grad()
def evaluate_probes(
    network: FrozenEncoder,
    task: ProbeTask,
    probes: Mapping[str, Any],
    loader: Any,
    num_classes: int,
    shown: Sequence[int] = (),
    track: Track = lambda steps, total: steps,
) -> Findings:
    """Evaluates probes over a data set.

    Args:
        network: the network.
        task: the task of the classifiers.
        probes: a trained probe for each block, by its name.
        loader: yields every image once.
        num_classes: classes of the data.
        shown: positions of the images whose reconstructions are kept.
        track: shows progress over an iterable of a known length.
    """
    for probe in probes.values():
        probe.eval()
    errors = {name: ReconstructionScore() for name in probes}
    classes = {name: {kind: task.score(num_classes) for kind in task.classifiers} for name in probes}
    ignorance = Ignorance(num_classes)
    images: list[np.ndarray] = []
    decoded: dict[str, list[np.ndarray]] = {name: [] for name in probes}
    position = 0
    for data in track(loader, len(loader)):
        inputs, samples = network.prepare(data, False)
        image = to_rgb(inputs, network.data_preprocessor)
        targets = [task.label(sample).to(inputs.device) for sample in samples]
        parts = [_without_padding(sample, image.shape[2:]) for sample in samples]
        kept = [index for index in range(len(samples)) if position + index in shown]
        position += len(samples)
        for index, (part, target) in enumerate(zip(parts, targets, strict=True)):
            ignorance.add(image[index][part], target)
        images += [to_uint8(image[index][parts[index]]) for index in kept]
        for name, feature in network.features(inputs, probes):
            logits = probes[name](feature, image.shape[2:])
            for index, (part, target) in enumerate(zip(parts, targets, strict=True)):
                errors[name].add(logits['image'][index][part], image[index][part])
                for kind, score in classes[name].items():
                    score.add(task.predicted(logits[kind][index], part, target), target)
            reconstructed = logits['image'].sigmoid()
            decoded[name] += [to_uint8(reconstructed[index][parts[index]]) for index in kept]
    results = {name: result_of(errors[name], classes[name]) for name in probes}
    return Findings(results, ignorance.result(), images, decoded)


def spread(count: int, length: int) -> list[int]:
    """`count` positions spread evenly over a data set; all if it has fewer."""
    positions = np.linspace(0, length - 1, min(count, length)).round().astype(int)
    return sorted(set(positions.tolist()))


def _without_padding(sample: Any, size: Sequence[int]) -> tuple[slice, slice, slice]:
    """The part of a padded image of a size (H, W) that is not padding, which is on the right and below."""
    _, right, _, below = sample.metainfo.get('img_padding_size', (0, 0, 0, 0))
    return slice(None), slice(0, size[0] - below), slice(0, size[1] - right)
