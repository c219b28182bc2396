"""TIFFs of any size: labels, georeference and memory of what is read in windows and written in bands."""

import weakref

import cv2
import numpy as np
import pytest
from PIL import Image

from infopro_seg.evaluation.label_files import is_written_here
from infopro_seg.predict import Ways, predict
from infopro_seg.prediction import label_rasters, raster_files, rasters, windows
from infopro_seg.prediction.label_rasters import TILE
from tests.geotiffs import PLACE, TILED, prepare, rasterio, read, run, write_tiff
from tests.predictors import META, SLIDE, STRIDE, WINDOW, picture, save_network
from tests.stand_ins import head_config

GroundControlPoint = rasterio.control.GroundControlPoint


@pytest.fixture(scope='module')
def network(tmp_path_factory):
    return save_network(tmp_path_factory.mktemp('slide'), SLIDE)


@pytest.fixture(autouse=True)
def prepared(monkeypatch):
    prepare(monkeypatch)


@pytest.mark.parametrize('size', [(300, 90), (40, 50)], ids=str)
@pytest.mark.parametrize(
    'layout',
    [TILED | {'compress': 'deflate'}, {'blockysize': 7, 'compress': 'lzw'}, TILED | {'BIGTIFF': 'YES'}],
    ids=['tiled', 'stripped', 'BigTIFF'],
)
def test_labels_are_those_of_the_image_read_whole_and_the_georeference_is_kept(
    network, tmp_path, size, layout
):
    image = picture(*size)
    path = write_tiff(tmp_path / 'ortho.tif', image, **layout)
    assert run(network, path, tmp_path / 'out', ways=Ways(batch=3)) == []
    labels, profile, _ = read(tmp_path / 'out/ortho_labels.tif')
    predictor = network.predictor()
    expected = predictor.predict(np.ascontiguousarray(image[..., ::-1]))
    assert np.array_equal(labels, expected + 1)  # ids from 1: the data set reduces its zero label
    assert len(np.unique(labels)) > 2
    assert (profile['crs'], profile['transform']) == (PLACE['crs'], PLACE['transform'])
    assert profile['tiled']
    assert (profile['blockysize'], profile['compress'], profile['dtype']) == (TILE, 'deflate', 'uint8')
    assert sorted(one.name for one in (tmp_path / 'out').iterdir()) == [
        'ortho_labels.tif',
        'ortho_overlay.png',
    ]
    assert is_written_here(tmp_path / 'out/ortho_labels.tif')
    colours = np.array(META['palette'])[expected]
    shown = cv2.imread(str(tmp_path / 'out/ortho_overlay.png'))[..., ::-1]
    assert np.abs(shown - (0.45 * image[..., ::-1] + 0.55 * colours)).max() <= 0.51


def test_a_preview_has_every_nth_pixel(network, tmp_path, monkeypatch):
    monkeypatch.setattr(raster_files, 'PREVIEW', 100)
    image = picture(290, 200)
    run(network, write_tiff(tmp_path / 'a.tif', image), tmp_path / 'out')
    labels = read(tmp_path / 'out/a_labels.tif')[0][::3, ::3]
    expected = 0.45 * image[::3, ::3, ::-1] + 0.55 * np.array(META['palette'])[labels - 1]
    shown = cv2.imread(str(tmp_path / 'out/a_overlay.png'))[..., ::-1]
    assert shown.shape == (97, 67, 3)
    assert np.abs(shown - expected).max() <= 0.51


def test_padding_of_the_data_preprocessor_is_as_for_an_image_read_whole(tmp_path):
    network = save_network(tmp_path / 'net', SLIDE)
    text = network.config.read_text().replace(
        'data_preprocessor=dict(', 'data_preprocessor=dict(test_cfg=dict(size_divisor=32),'
    )
    network.config.write_text(text)
    image = picture(143, 75)
    run(network, write_tiff(tmp_path / 'a.tif', image), tmp_path / 'out')
    predictor = network.predictor()
    assert predictor.model.data_preprocessor.test_cfg == {'size_divisor': 32}
    expected = predictor.predict(np.ascontiguousarray(image[..., ::-1]))
    assert np.array_equal(read(tmp_path / 'out/a_labels.tif')[0], expected + 1)


@pytest.mark.parametrize('height', [200, 700])
def test_only_the_rows_at_work_are_held(network, tmp_path, monkeypatch, height):
    """Counted are rows of pixels, of windows and of labels, whatever the height."""
    held = {'pixels': 0, 'windows': 0, 'labels': 0, 'computed': 0, 'read': 0}

    def note(kind, count):
        held[kind] = max(held[kind], count)

    class Pixels(raster_files.RasterPixels):
        def __call__(self, box):
            window = super().__call__(box)
            note('pixels', len(self.strip))
            return window

        def read(self, start, stop):
            held['read'] += 1
            return super().read(start, stop)

    class Sliding(windows.SlidingMap):
        def __call__(self, start, stop):
            rows = super().__call__(start, stop)
            note('windows', len(self.held))
            return rows

        def _row(self, top):
            held['computed'] += 1
            return super()._row(top)

    class Labels(label_rasters.LabelRaster):
        def write(self, rows):
            note('labels', len(self.waiting) + len(rows))
            super().write(rows)

    monkeypatch.setattr(rasters, 'RasterPixels', Pixels)
    monkeypatch.setattr(windows, 'SlidingMap', Sliding)
    monkeypatch.setattr(label_rasters, 'LabelRaster', Labels)
    run(network, write_tiff(tmp_path / 'a.tif', picture(height, 90), **TILED), tmp_path / 'out')
    assert held['pixels'] == WINDOW[0]
    assert held['windows'] <= 3  # two at each row, and the last one, which ends with the image
    assert held['labels'] < 2 * TILE
    assert held['computed'] == -(-(height - WINDOW[0]) // STRIDE[0]) + 1  # each row of windows once
    assert held['read'] == held['computed']  # and its pixels once for all windows


@pytest.mark.parametrize('bands', [1, 4])
def test_gray_and_alpha_are_read_as_the_loader_reads_them(network, tmp_path, bands):
    image = (
        picture(100, 90)[..., :1]
        if bands == 1
        else np.dstack([picture(100, 90), picture(100, 90, 1)[..., 0]])
    )
    path = write_tiff(tmp_path / 'a.tif', image, photometric='minisblack' if bands == 1 else 'rgb')
    run(network, path, tmp_path / 'out')
    assert np.array_equal(read(tmp_path / 'out/a_labels.tif')[0], network.predictor().predict(path) + 1)


def test_other_kinds_of_georeference(network, tmp_path):
    corners = [(row, column) for row in (0, 80) for column in (0, 80)]
    points = [GroundControlPoint(row, column, 5e5 + column, 5e6 - row) for row, column in corners]
    path = write_tiff(tmp_path / 'a.tif', picture(80, 80), crs=None, transform=None, gcps=points)
    run(network, path, tmp_path / 'out')
    with rasterio.open(tmp_path / 'out/a_labels.tif') as dataset:
        found, crs = dataset.gcps
    assert [(one.row, one.col, one.x, one.y) for one in found] == [(p.row, p.col, p.x, p.y) for p in points]
    assert crs == PLACE['crs']


def test_only_large_or_georeferenced_tiffs_go_in_bands(network, tmp_path, monkeypatch):
    plain = tmp_path / 'plain.tif'
    cv2.imwrite(str(plain), picture(70, 80))
    run(network, plain, tmp_path / 'small')
    small = {one.name for one in (tmp_path / 'small').iterdir()}
    assert small == {'plain_labels.png', 'plain_overlay.png'}
    monkeypatch.setattr(raster_files, 'LARGE', 70 * 80 - 1)
    run(network, plain, tmp_path / 'large')
    labels = read(tmp_path / 'large/plain_labels.tif')[0]
    assert np.array_equal(labels, np.array(Image.open(tmp_path / 'small/plain_labels.png')))


def test_results_are_no_images_of_the_next_prediction(network, tmp_path, capsys):
    path = write_tiff(tmp_path / 'a.tif', picture(64, 64))
    for _ in range(2):
        assert (
            predict(network.config, network.checkpoint, [tmp_path / 'a.tif', tmp_path], tmp_path, 'cpu') == []
        )
    assert '2 results of earlier predictions are left out' in capsys.readouterr().err
    assert {one.name for one in tmp_path.glob('*.*')} == {path.name, 'a_labels.tif', 'a_overlay.png'}


def test_two_classes_of_one_channel(tmp_path):
    head = {'in_index': 1, 'num_classes': 2, 'out_channels': 1, 'threshold': 0.501}
    loss = {'type': 'CrossEntropyLoss', 'use_sigmoid': True}
    network = save_network(
        tmp_path / 'net',
        SLIDE,
        classes=2,
        decode_head=head_config(loss_decode=loss, **head),
        auxiliary_head=None,
    )
    image = picture(90, 100)
    run(network, write_tiff(tmp_path / 'a.tif', image), tmp_path / 'out')
    labels = read(tmp_path / 'out/a_labels.tif')[0]
    assert np.array_equal(labels, network.predictor().predict(np.ascontiguousarray(image[..., ::-1])) + 1)
    assert len(np.unique(labels)) == 2


def test_no_band_of_labels_outlives_its_writing(network, tmp_path, monkeypatch):
    monkeypatch.setattr(raster_files, 'PREVIEW', 20)
    alive, bands = [], []

    def label_bands(*args):
        for labels in windows.label_bands(*args):
            bands.append(weakref.ref(labels))
            yield labels
            alive.append(sum(band() is not None for band in bands))

    monkeypatch.setattr(rasters, 'label_bands', label_bands)
    run(network, write_tiff(tmp_path / 'a.tif', picture(300, 64), **TILED), tmp_path / 'out')
    assert len(bands) > 4
    assert max(alive) <= 2
