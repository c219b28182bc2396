"""GeoTIFFs for tests, and what is predicted of them."""

import pytest

from infopro_seg.predict import predict
from tests.predictors import load_once

rasterio = pytest.importorskip('rasterio')
from rasterio.transform import from_origin  # noqa: E402

PLACE = {'crs': 'EPSG:32632', 'transform': from_origin(5e5, 5.3e6, 0.2, 0.25)}
TILED = {'tiled': True, 'blockxsize': 64, 'blockysize': 64}


def prepare(monkeypatch):
    """Networks are loaded once; bands are of a few rows, which end neither with windows nor with tiles."""
    load_once(monkeypatch)
    monkeypatch.setattr('infopro_seg.logit_maps.row_maps.BAND_BYTES', 4 * 5 * 200 * 7)


def write_tiff(path, image, **layout):
    """A GeoTIFF of an image (H, W, bands), BGR as OpenCV has it if there are three."""
    bands = image[..., ::-1] if image.shape[2] == 3 else image
    size = {'height': image.shape[0], 'width': image.shape[1], 'count': image.shape[2]}
    given = PLACE | layout
    points = given.pop('gcps', None)
    with rasterio.open(path, 'w', driver='GTiff', dtype=image.dtype.name, **size, **given) as dataset:
        dataset.write(bands.transpose(2, 0, 1))
        if points:
            dataset.gcps = (points, PLACE['crs'])
    return path


def run(network, path, out, **kwargs):
    return predict(network.config, network.checkpoint, [path], out, 'cpu', **kwargs)


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read(1), dataset.profile, dataset.tags()
