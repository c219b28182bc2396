"""Predicts rasters of any size; memory does not grow with their height."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from infopro_seg.drawing.overlay import overlay
from infopro_seg.errors import DataError, IncompleteError
from infopro_seg.evaluation.label_files import write_image
from infopro_seg.files import whole_file
from infopro_seg.prediction.label_rasters import copy_rows, label_raster
from infopro_seg.prediction.raster_files import RasterPixels, opened
from infopro_seg.prediction.windows import WindowNetwork, label_bands, window_map

Advance = Callable[[int, int], None]
"""Called with the number of rows or frames done, and their total."""


def predict_raster(
    network: WindowNetwork,
    path: Path,
    results: dict[str, Path],
    label_ids: np.ndarray,
    palette: np.ndarray,
    color_type: str = 'color',
    advance: Advance = lambda done, total: None,
) -> None:
    """Writes a TIFF of label ids with the raster's georeference, and a PNG of a small overlay.

    Args:
        network: the network.
        path: the raster.
        results: the files to write: `labels`, `overlay`, and `kept` for the rows above a damaged part.
        label_ids: the id of each class index, (classes,).
        palette: RGB of each class, (classes, 3) uint8.
        color_type: `color_type` of the config's image loader.
        advance: called with the number of rows done.

    Raises:
        DataError: the raster does not have three colours of 8 bits, or is damaged from its beginning.
        IncompleteError: the raster is damaged; `kept` contains the labels of the rows above the damage.
        OutputError: a result cannot be written.
    """
    for result in results.values():
        result.parent.mkdir(parents=True, exist_ok=True)
    with opened(path) as dataset:
        pixels = RasterPixels(dataset, path, color_type)
        height = pixels.size[0]
        small: list[np.ndarray] = []
        final = results['labels']
        with whole_file(final) as partial:
            try:
                with label_raster(partial, dataset, height, label_ids.dtype, final) as raster:
                    done = 0
                    logits = window_map(network, pixels, pixels.size)
                    for labels in label_bands(network, logits, network.stride[0]):
                        raster.write(label_ids[labels])
                        first = -done % pixels.step
                        # copied: a view would keep the whole band
                        small.append(labels[first :: pixels.step, :: pixels.step].copy())
                        done += len(labels)
                        advance(done, height)
            except DataError as error:
                raise _with_rows_kept(error, partial, results['kept'], done) from error
    picture = overlay(pixels.thumbnail, np.concatenate(small), palette)
    write_image(results['overlay'], picture)
    results['kept'].unlink(missing_ok=True)  # of an earlier prediction, when the raster was damaged


def _with_rows_kept(error: DataError, partial: Path, kept: Path, rows: int) -> DataError:
    """The error for a damaged raster; the labels of the rows above the damage are kept first."""
    if not rows:
        return DataError(f'{error}. No row before could be predicted')
    with whole_file(kept) as file:
        copy_rows(partial, file, rows, kept)
    return IncompleteError(f'{error}. The labels of the first {rows} rows are kept in {kept}')
