"""A data set to look at: how often its classes occur, and samples with their labels drawn over them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from infopro_seg.datasets.check import Report
from infopro_seg.datasets.check_report import class_rows
from infopro_seg.datasets.image_files import decode_image, decode_labels, read_bytes
from infopro_seg.datasets.inspection import IGNORED, Pair
from infopro_seg.visualization.overlay import overlay
from infopro_seg.visualization.panel import draw_legend

CELL = 520  # pixels, the longer side of a picture of the sheet
COLUMNS = 2  # samples per row, each as image and labels
DPI = 120
EDGE = (255, 255, 255)
FEWEST = 1e-6  # share of pixels at the left end of the plot, at most


def plot_classes(report: Report, path: Path) -> None:
    """Draws the share of each class on a logarithmic axis, in the classes' colours."""
    rows = class_rows(report)
    shares = np.array([row['share'] for row in rows])
    least = min([*shares[shares > 0].tolist(), 0.01])
    left = max(10 ** np.floor(np.log10(least) - 0.3), FEWEST * 1e-3)
    figure = Figure(figsize=(9, 1.3 + 0.27 * len(rows)), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    colors = np.array(report.split.palette) / 255
    axes.barh(range(len(rows)), np.maximum(shares, left), color=colors, edgecolor='0.35', linewidth=0.5)
    for index, row in enumerate(rows):
        seen = row['images'] > 0
        text = f'{row["share"]:.2%} of pixels, {row["images"]} images' if seen else 'never seen'
        axes.annotate(
            text,
            (max(row['share'], left), index),
            xytext=(4, 0),
            textcoords='offset points',
            va='center',
            fontsize=7.5,
            color='0.2' if seen else 'red',
        )
    axes.set_xscale('log')
    axes.set_xlim(left, left**-0.45)  # the annotation of the longest bar needs room
    axes.set_xticks([tick for tick in 10.0 ** np.arange(-9, 1) if tick >= left])
    axes.xaxis.set_major_formatter(lambda value, _: f'{value:.6%}'.rstrip('0%').rstrip('.') + '%')
    axes.minorticks_off()
    axes.set_yticks(range(len(rows)), [f'{row["name"]}  {row["id"]}' for row in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.spines[['top', 'right']].set_visible(False)
    axes.grid(axis='x', linewidth=0.4, color='0.85')
    axes.set_axisbelow(True)
    axes.set_xlabel('share of the pixels that are not ignored', fontsize=8)
    axes.tick_params(axis='x', labelsize=8)
    axes.set_title(
        f'{report.split.name}: {report.labels} label images, {report.ignored_share:.2%} of pixels ignored',
        fontsize=10,
    )
    _save(figure, path)


def draw_samples(report: Report, path: Path, count: int = 8) -> bool:
    """Draws pairs with nothing wrong, image beside labels; rare classes first, then spread over the split.

    Returns:
        Whether there was any to draw.
    """
    pairs = choose_samples(report.usable, count)
    if not pairs:
        return False
    palette = np.array(report.split.palette, dtype=np.uint8)
    samples = [_sample(pair, palette) for pair in pairs]
    rows = [samples[start : start + COLUMNS] for start in range(0, len(samples), COLUMNS)]
    columns = min(COLUMNS, len(samples))
    aspect = float(np.median([image.shape[0] / image.shape[1] for image, _, _ in samples]))
    width = columns * 2 * CELL / DPI * 0.62
    cell_height = width / (columns * 2) * min(aspect, 1.4) + 0.24
    shown = sorted(set().union(*(ids for _, _, ids in samples)))
    entries = [
        (report.split.classes[index], palette[index]) for index in shown if index < len(report.split.classes)
    ]
    if IGNORED in shown:
        entries.append(('ignored', np.zeros(3, dtype=np.uint8)))
    legend_height = 0.1 + 0.2 * -(-min(len(entries), 40) // 10)
    figure = Figure(figsize=(width, len(rows) * cell_height + legend_height))
    FigureCanvasAgg(figure)
    total = figure.get_figheight()
    grid = figure.subplots(len(rows), columns * 2, squeeze=False)
    figure.subplots_adjust(
        left=0.004,
        right=0.996,
        top=1 - 0.22 / total,
        bottom=legend_height / total,
        wspace=0.02,
        hspace=0.24 / cell_height,
    )
    for axis in grid.flat:
        axis.set_axis_off()
    for axes, row, first in zip(grid, rows, range(0, len(pairs), COLUMNS), strict=True):
        for column, (image, drawn, _) in enumerate(row):
            axes[2 * column].imshow(image)
            axes[2 * column + 1].imshow(drawn)
            name = _short(pairs[first + column].image.name)
            axes[2 * column].set_title(name, fontsize=7, pad=2, loc='left')
    draw_legend(figure, entries)
    _save(figure, path)
    return True


def choose_samples(usable: Sequence[tuple[Pair, np.ndarray]], count: int) -> list[Pair]:
    """Chooses pairs that show as many classes as possible; what is left is spread evenly.

    Args:
        usable: pairs, and which class indices each holds, (256,) bool.
        count: how many.
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


def _sample(pair: Pair, palette: np.ndarray) -> tuple[np.ndarray, np.ndarray, set[int]]:
    """An image, the same with its labels drawn over it, both small and RGB, and the class indices shown."""
    if pair.label is None:
        raise ValueError(f'{pair.image} has no label image to draw')
    image, _ = decode_image(read_bytes(pair.image), 'color')
    stored, _ = decode_labels(read_bytes(pair.label), pair.loading.label_backend)
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
    return image, drawn, set(np.unique(labels).tolist())


def _short(name: str, length: int = 48) -> str:
    return name if len(name) <= length else f'{name[: length - 16]}...{name[-13:]}'


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)
