"""Label images as tiled, compressed TIFFs, written a row of tiles at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from infopro_seg.errors import OutputError
from infopro_seg.evaluation.label_files import WRITER
from infopro_seg.prediction.raster_files import opened

TILE = 256  # pixels along a side of a tile
LAYOUT = {
    'driver': 'GTiff',
    'count': 1,
    'tiled': True,
    'blockxsize': TILE,
    'blockysize': TILE,
    'compress': 'deflate',
    'BIGTIFF': 'IF_SAFER',
}


class LabelRaster:
    """A label image that is written row by row, from the top down.

    Args:
        dataset: an open data set of rasterio.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.waiting = np.zeros((0, dataset.width), dataset.dtypes[0])
        self.written = 0
        self.checksum = 0

    def write(self, rows: np.ndarray) -> None:
        """Takes the next rows, (h, W) of ids, and writes the rows of tiles that are complete."""
        self.waiting = np.concatenate([self.waiting, rows])
        while len(self.waiting) >= TILE:
            self._write(TILE)

    def finish(self) -> int:
        """Writes the remaining rows; returns the total number of rows."""
        if len(self.waiting):
            self._write(len(self.waiting))
        return self.written

    def _write(self, count: int) -> None:
        from rasterio.windows import Window

        rows = np.ascontiguousarray(self.waiting[:count])
        self.dataset.write(rows, 1, window=Window(0, self.written, rows.shape[1], count))
        self.checksum = zlib.crc32(rows.tobytes(), self.checksum)
        self.written += count
        self.waiting = self.waiting[count:].copy()


@contextmanager
def label_raster(path: Path, like: Any, height: int, dtype: Any, final: Path) -> Iterator[LabelRaster]:
    """A label image with the georeference of another raster; it is read again when it is complete.

    The reading finds files that a full disk has cut off: GDAL does not always report this on closing.

    Args:
        path: the file to write.
        like: an open data set of rasterio with the same upper left corner and width.
        height: number of rows.
        dtype: type of the ids.
        final: final name of the file, for messages.

    Raises:
        OutputError: the file cannot be written.
    """
    from rasterio.errors import RasterioIOError

    size = {'width': like.width, 'height': height, 'dtype': np.dtype(dtype).name}
    points, system = like.gcps
    place = {'gcps': points, 'crs': system} if points else {'transform': like.transform, 'crs': like.crs}
    raster: LabelRaster | None = None
    try:
        with opened(path, 'w', **LAYOUT, **size, **place) as dataset:
            if like.rpcs:
                dataset.rpcs = like.rpcs
            dataset.update_tags(TIFFTAG_SOFTWARE=WRITER)
            raster = LabelRaster(dataset)
            try:
                yield raster
            finally:
                raster.finish()  # also the rows before an error
        if _checksum(path) != raster.checksum:
            raise RasterioIOError('what was written cannot be read again')
    except RasterioIOError as error:
        raise OutputError(
            f'cannot write {final}: {error.__cause__ or error}; make room, or choose another place'
        ) from error


def copy_rows(source: Path, target: Path, rows: int, final: Path) -> None:
    """Copies the first rows of a label image to a new file.

    Args:
        source: the label image.
        target: the file to write.
        rows: number of rows.
        final: final name of the file, for messages.

    Raises:
        OutputError: the file cannot be written.
    """
    with (
        opened(source) as dataset,
        label_raster(target, dataset, rows, dataset.dtypes[0], final) as raster,
    ):
        for band in _rows_of_tiles(dataset, rows):
            raster.write(band)


def _checksum(path: Path) -> int | None:
    """A checksum of all ids in a file; None if it cannot be read."""
    from rasterio.errors import RasterioIOError

    found = 0
    try:
        with opened(path) as dataset:
            for rows in _rows_of_tiles(dataset, dataset.height):
                found = zlib.crc32(rows.tobytes(), found)
    except RasterioIOError:
        return None
    return found


def _rows_of_tiles(dataset: Any, height: int) -> Iterator[np.ndarray]:
    from rasterio.windows import Window

    for start in range(0, height, TILE):
        count = min(TILE, height - start)
        yield dataset.read(1, window=Window(0, start, dataset.width, count))
