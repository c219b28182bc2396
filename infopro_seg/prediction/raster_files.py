"""Reads TIFF and GeoTIFF files of any size, a strip of rows at a time."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from infopro_seg.datasets.image_headers import TIFF, Header, read_header
from infopro_seg.errors import DataError, UserError
from infopro_seg.logit_maps.row_maps import Box

LARGE = 2**25
"""Number of pixels; larger TIFFs, and all georeferenced ones, are not decoded as a whole."""

CACHE = 64 * 2**20  # bytes of decoded blocks that GDAL keeps; its own default grows with the machine
PREVIEW = 2048  # longest side of a preview, in pixels
COLORS = ('color', 'color_ignore_orientation')  # the `color_type` of loaders that read three colours


def is_raster(path: Path) -> bool:
    """Whether a file is a georeferenced or large TIFF, which is read with rasterio.

    Raises:
        UserError: the TIFF is large, and rasterio is missing.
    """
    header = tiff_header(path)
    if header is None or header.size is None:
        return False
    width, height = header.size
    if find_spec('rasterio') is None:
        if width * height > LARGE:
            raise UserError(
                f'{path} has {width}x{height} pixels; a TIFF of more than {LARGE} is read in parts, through '
                "the package rasterio: pip install rasterio (in a clone: pip install -e '.[geo]')"
            )
        return False
    if width * height > LARGE:
        return True
    from rasterio.errors import RasterioIOError

    try:
        with opened(path) as dataset:
            return is_georeferenced(dataset)
    except RasterioIOError:
        return False  # the image loader will report the problem


def tiff_header(path: Path) -> Header | None:
    """The header of a TIFF; None for other files, or if it cannot be read."""
    try:
        with open(path, 'rb') as file:
            if not file.read(4).startswith(TIFF):
                return None
            file.seek(0)
            return read_header(file)
    except OSError:
        return None


def is_georeferenced(dataset: Any) -> bool:
    """Whether a data set of rasterio has a georeference."""
    placed = not dataset.transform.is_identity or dataset.gcps[0] or dataset.rpcs
    return bool(dataset.crs is not None or placed)


@contextmanager
def opened(path: Path, *args: Any, **kwargs: Any) -> Iterator[Any]:
    """Opens a data set as `rasterio.open` does, with a small cache of decoded blocks."""
    import rasterio

    with warnings.catch_warnings(), rasterio.Env(GDAL_CACHEMAX=CACHE):
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, *args, **kwargs) as dataset:
            yield dataset


class RasterPixels:
    """The pixels of a raster; holds one strip of rows, and a thumbnail of the rows read so far.

    Args:
        dataset: an open data set of rasterio.
        path: its file, for messages.
        color_type: `color_type` of the config's image loader, which says how bands are read.

    Raises:
        DataError: the raster does not have three colours of 8 bits, or is stored rotated.
    """

    def __init__(self, dataset: Any, path: Path, color_type: str = 'color') -> None:
        self.dataset, self.path = dataset, path
        self.size = (int(dataset.height), int(dataset.width))
        self.bands = _bands(dataset, path, color_type)
        self.step = math.ceil(max(self.size) / PREVIEW)
        small = [math.ceil(side / self.step) for side in self.size]
        self.thumbnail = np.zeros((*small, 3), np.uint8)
        self.rows = (0, 0)
        self.strip = np.zeros((0, self.size[1], 3), np.uint8)

    def __call__(self, box: Box) -> np.ndarray:
        """A window, (h, w, 3) BGR uint8, without the part beyond the raster.

        Raises:
            DataError: the file is damaged there.
        """
        rows, columns = box
        wanted = (rows.start, min(rows.stop, self.size[0]))
        if wanted != self.rows:
            self.strip = self.strip[:0]  # never hold two strips
            self.strip = self.read(*wanted)
            self.rows = wanted
        window: np.ndarray = self.strip[:, columns]
        return window

    def read(self, start: int, stop: int) -> np.ndarray:
        """The rows from `start` to `stop`, (stop - start, W, 3) BGR uint8.

        Raises:
            DataError: the file is damaged there.
        """
        from rasterio.errors import RasterioIOError
        from rasterio.windows import Window

        try:
            rgb = self.dataset.read(self.bands, window=Window(0, start, self.size[1], stop - start))
        except RasterioIOError as error:
            reason = str(error.__cause__ or error).rstrip('.')
            raise DataError(
                f'cannot read rows {start} to {stop - 1} of {self.size[0]} of {self.path}: '
                f'{reason}; the file is damaged, or was not copied to its end: replace it'
            ) from error
        first = -(-start // self.step) * self.step
        places = range(first, stop, self.step)
        for row in places:
            self.thumbnail[row // self.step] = rgb[:, row - start, :: self.step].T
        strip: np.ndarray = rgb[::-1].transpose(1, 2, 0)
        return strip


def _bands(dataset: Any, path: Path, color_type: str) -> list[int]:
    """The numbers of the bands that are red, green and blue."""
    kinds, kind = sorted(set(dataset.dtypes)), [one.name for one in dataset.colorinterp]
    holds = f'{dataset.count} band{"s" * (dataset.count != 1)} of {", ".join(kinds)} ({", ".join(kind)})'
    take = 'convert it, e.g. gdal_translate -ot Byte -b 1 -b 2 -b 3 IN.tif OUT.tif'
    header = tiff_header(path)
    if header is not None and header.orientation > 1:
        raise DataError(f'{path} is stored rotated (orientation {header.orientation}); save it upright')
    if color_type not in COLORS:
        raise DataError(
            f"{path} holds {holds}, and such TIFFs are read in three colours, but the config's image loader "
            f'has color_type={color_type!r}; write one of {", ".join(COLORS)} there'
        )
    if kinds != ['uint8'] or kind[0] in ('palette', 'cyan') or dataset.count not in (1, 3, 4):
        raise DataError(f'{path} holds {holds}, but such TIFFs are read as three bands of uint8; {take}')
    return [1, 1, 1] if dataset.count == 1 else [1, 2, 3]
