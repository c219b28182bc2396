"""The panel: image | ground truth | prediction | what each local module's decoder reconstructs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate

from infopro_seg.drawing.legend import draw_legend
from infopro_seg.drawing.overlay import IGNORED_COLOR, colorize
from infopro_seg.drawing.palette import colours
from infopro_seg.evaluation.label_images import class_indices
from infopro_seg.files import whole_file
from infopro_seg.models.backbone import InfoProBackbone
from infopro_seg.models.image import to_rgb, to_uint8

CELL_WIDTH = 2.6  # inches


def draw_panel(model: Any, dataset: Any, path: Path, rows: int = 4) -> None:
    """Draws images of a data set, spread evenly over it, with what a model makes of them.

    Args:
        model: an `EncoderDecoder`; with an `InfoProBackbone` its reconstructions are shown too.
        dataset: an mmseg data set with labels.
        path: the PNG to write.
        rows: number of images.
    """
    draw_panels({'prediction': model}, dataset, path, rows)


@torch.no_grad()
def draw_panels(models: Mapping[str, Any], dataset: Any, path: Path, rows: int = 4) -> None:
    """Draws what several models make of the same images, side by side; otherwise as :func:`draw_panel`.

    Args:
        models: each under the title of its column; they take the images normalised alike.
        dataset: an mmseg data set with labels.
        path: the PNG to write.
        rows: number of images.
    """
    meta = dataset.metainfo
    palette = colours(meta.get('palette'), len(meta['classes']))
    training = {title: model.training for title, model in models.items()}
    for model in models.values():
        model.eval()
    try:
        cells = [_cells(models, batch, palette) for batch in _batches(dataset, rows)]
    finally:
        for title, model in models.items():
            model.train(training[title])
    _draw(cells, meta['classes'], palette, path)


@torch.no_grad()
def run_panel(model: Any, dataset: Any, rows: int = 4) -> None:
    """Asks of a model what :func:`draw_panel` does, in a process that has a part of it and draws nothing.

    Args:
        model: the part of the model.
        dataset: the data set.
        rows: number of images.
    """
    model.eval()
    for batch in _batches(dataset, rows):
        data = model.data_preprocessor(batch, False)
        model.predict(data['inputs'], data['data_samples'])
        model.backbone.reconstructions(data['inputs'], data['inputs'].shape[2:])


def _batches(dataset: Any, rows: int) -> Iterator[Any]:
    """The images of a panel, spread evenly over a data set, each as a batch."""
    indices = np.linspace(0, len(dataset) - 1, min(rows, len(dataset))).round().astype(int).tolist()
    return (pseudo_collate([dataset[index]]) for index in indices)


def _cells(models: Mapping[str, Any], batch: Any, palette: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The pictures of one row, with their titles."""
    shown: list[tuple[str, np.ndarray]] = []
    predictions: list[tuple[str, np.ndarray]] = []
    decoded: list[tuple[str, np.ndarray]] = []
    for title, model in models.items():
        data = model.data_preprocessor(batch, False)
        inputs, samples = data['inputs'], data['data_samples']
        if not shown:
            target = class_indices(samples[0].gt_sem_seg.data)
            image = to_uint8(to_rgb(inputs, model.data_preprocessor)[0])
            shown = [('image', image), ('ground truth', colorize(target, palette))]
        [result] = model.predict(inputs, samples)
        predictions.append((title, colorize(class_indices(result.pred_sem_seg.data), palette)))
        if isinstance(model.backbone, InfoProBackbone):
            what = f'{title}: decoded' if len(models) > 1 else 'decoded from local module'
            decoded += [
                (f'{what} {k}', to_uint8(image[0]))
                for k, image in enumerate(model.backbone.reconstructions(inputs, inputs.shape[2:]))
                if image is not None
            ]
    return [*shown, *predictions, *decoded]


def _draw(
    cells: Sequence[Sequence[tuple[str, np.ndarray]]],
    classes: Sequence[str],
    palette: np.ndarray,
    path: Path,
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import, see curves
    from matplotlib.figure import Figure

    height, width = cells[0][0][1].shape[:2]
    columns = len(cells[0])
    cell_height = CELL_WIDTH * height / width
    legend_height = 0.9
    figure = Figure(figsize=(columns * CELL_WIDTH, len(cells) * cell_height + legend_height))
    FigureCanvasAgg(figure)
    total = figure.get_figheight()
    grid = figure.subplots(len(cells), columns, squeeze=False)
    figure.subplots_adjust(
        left=0.004, right=0.996, top=1 - 0.25 / total, bottom=0.62 / total, wspace=0.015, hspace=0.025
    )
    for row, axes in zip(cells, grid, strict=True):
        for (title, picture), axis in zip(row, axes, strict=True):
            is_photograph = title == 'image' or 'decoded' in title
            axis.imshow(picture, interpolation=None if is_photograph else 'nearest')
            axis.set_axis_off()
            if row is cells[0]:
                axis.set_title(title, fontsize=9, pad=3)
    ignored = ('ignored', np.array(IGNORED_COLOR, dtype=np.uint8))
    draw_legend(figure, [*zip(classes, palette, strict=False), ignored])
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=120, format='png')
