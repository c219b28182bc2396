"""Draws samples of a data set, with their labels over them, on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from infopro_seg.datasets.checks.inspection import Pair
from infopro_seg.datasets.checks.whole_split import SplitReport
from infopro_seg.datasets.image_files import decode_image, decode_labels, read_bytes
from infopro_seg.datasets.label_ids import IGNORED
from infopro_seg.datasets.orientation import IGNORING, labels_are_turned, turn, turned_by
from infopro_seg.drawing.legend import draw_legend
from infopro_seg.drawing.overlay import IGNORED_COLOR, overlay

COLUMNS = 2  # samples per row, each as image and labels
CELL = 480  # pixels, the longer side of an image
GAP = 6  # pixels between image and labels
WIDTH = 6.4  # inches of a sample
NAME = 0.24  # inches above a sample
DPI = 150
EDGE = (255, 255, 255)  # between labels


def draw_samples(report: SplitReport, path: Path, count: int = 8) -> bool:
    """Draws pairs without problems, image beside labels; rare classes first, then spread over the split.

    Returns:
        Whether there was a pair to draw.
    """
    pairs = choose_samples(report.usable, count)
    if not pairs:
        return False
    palette = np.array(report.split.palette, dtype=np.uint8)
    samples = [_sample(pair, palette) for pair in pairs]
    shown = sorted(set().union(*(ids for _, ids in samples)) - {IGNORED})
    entries = [(report.split.classes[index], palette[index]) for index in shown]
    entries.append(('ignored', np.array(IGNORED_COLOR, dtype=np.uint8)))
    columns = min(COLUMNS, len(samples))
    lines = -(-len(samples) // columns)
    aspect = float(np.median([picture.shape[0] / picture.shape[1] for picture, _ in samples]))
    height = WIDTH * min(aspect, 0.7) + NAME
    figure = Figure(figsize=(columns * WIDTH, lines * height + 1))
    FigureCanvasAgg(figure)
    legend = draw_legend(figure, entries)
    total = lines * height + legend
    figure.set_figheight(total)
    grid = figure.subplots(lines, columns, squeeze=False)
    figure.subplots_adjust(0.004, legend / total, 0.996, 1 - NAME / total, 0.02, NAME / (height - NAME))
    for axis in grid.flat:
        axis.set_axis_off()
    for axis, pair, (picture, _) in zip(grid.flat, pairs, samples, strict=False):
        axis.imshow(picture)
        axis.set_title(_short(pair.image.name), fontsize=7, pad=2, loc='left', parse_math=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
    return True


def choose_samples(usable: Sequence[tuple[Pair, np.ndarray]], count: int) -> list[Pair]:
    """Chooses pairs that show as many classes as possible; the remaining ones are spread evenly.

    Args:
        usable: pairs, each with the class indices that it contains, (256,) bool.
        count: number of pairs.
    """
    if len(usable) <= count:
        return [pair for pair, _ in usable]
    holds = np.stack([present for _, present in usable])
    holds[:, IGNORED] = False
    weight = 1 / np.maximum(holds.sum(axis=0), 1)  # rare classes count more
    chosen: list[int] = []
    missing = holds.any(axis=0)
    while missing.any() and len(chosen) < count // 2:
        best = int((holds[:, missing] * weight[missing]).sum(axis=1).argmax())
        chosen.append(best)
        missing &= ~holds[best]
    rest = np.setdiff1d(np.arange(len(usable)), chosen)
    spread = np.linspace(0, len(rest) - 1, count - len(chosen)).round().astype(int)
    return [usable[index][0] for index in sorted({*chosen, *rest[spread].tolist()})]


def _sample(pair: Pair, palette: np.ndarray) -> tuple[np.ndarray, set[int]]:
    """A small image beside a copy with its labels over it, RGB, and the class indices shown."""
    if pair.label is None:
        raise ValueError(f'{pair.image} has no label image to draw')
    flag = 'color_ignore_orientation' if pair.loading.color_type in IGNORING else 'color'
    image, header = decode_image(read_bytes(pair.image), flag)
    stored, _ = decode_labels(read_bytes(pair.label), pair.loading.label_backend)
    turned, sizes = turned_by(header, flag), (stored.shape[::-1], image.shape[1::-1])
    if labels_are_turned(*sizes, turned, pair.image, pair.loading.drawn_on):
        stored = turn(stored, turned)
    labels = pair.loading.classes[stored.astype(np.uint8)]
    scale = min(CELL / max(image.shape[:2]), 1.0)
    size = max(round(image.shape[1] * scale), 1), max(round(image.shape[0] * scale), 1)
    image = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
    labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    drawn = overlay(image, labels, palette)
    edges = np.zeros(labels.shape, dtype=bool)
    edges[1:] |= labels[1:] != labels[:-1]
    edges[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    drawn[edges] = EDGE
    gap = np.full((size[1], GAP, 3), 255, dtype=np.uint8)
    return np.hstack([image, gap, drawn]), set(np.unique(labels).tolist())


def _short(name: str, length: int = 48) -> str:
    return name if len(name) <= length else f'{name[: length - 16]}...{name[-13:]}'
