"""What a raster is refused for, and what is left of one that is damaged or does not fit on the disk."""

import resource

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from infopro_seg import predict as module
from infopro_seg.errors import ConfigError, OutputError, UserError
from infopro_seg.predict import Ways
from infopro_seg.prediction import label_rasters, raster_files
from infopro_seg.prediction.checkpoint_windows import window_settings
from tests.geotiffs import PLACE, prepare, read, run, write_tiff
from tests.predictors import SLIDE, STRIDE, WHOLE, WINDOW, picture, save_network


@pytest.fixture(scope='module')
def network(tmp_path_factory):
    return save_network(tmp_path_factory.mktemp('slide'), SLIDE)


@pytest.fixture(autouse=True)
def prepared(monkeypatch):
    prepare(monkeypatch)


def test_the_labels_of_the_rows_before_a_damage_are_kept(network, tmp_path, capsys):
    image = picture(600, 64)
    path = write_tiff(tmp_path / 'ortho.tif', image, blockysize=8)
    run(network, path, tmp_path / 'whole')
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    assert run(network, path, tmp_path / 'out') == [path]
    told = capsys.readouterr().err
    kept = tmp_path / 'out/ortho_labels_incomplete.tif'
    assert 'incomplete: cannot read rows ' in told
    assert f'of {path}: ' in told
    assert '.;' not in told
    assert f'rows are kept in {kept}' in told
    assert '0 of 1 images predicted' in told
    assert [one.name for one in (tmp_path / 'out').iterdir()] == [kept.name]
    labels, profile, _ = read(kept)
    assert 600 * 3 // 4 - WINDOW[0] - STRIDE[0] <= len(labels) < 600 * 3 // 4
    assert np.array_equal(labels, read(tmp_path / 'whole/ortho_labels.tif')[0][: len(labels)])
    assert (profile['crs'], profile['transform']) == (PLACE['crs'], PLACE['transform'])


@pytest.mark.parametrize('share', [0.5, 0.99])
def test_a_full_disk_leaves_nothing_half_written(network, tmp_path, monkeypatch, share):
    path = write_tiff(tmp_path / 'ortho.tif', picture(300, 90))
    run(network, path, tmp_path / 'out')
    target = tmp_path / 'out/ortho_labels.tif'
    before = target.read_bytes()
    limit = int(share * len(before))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    predict_raster = module.predict_raster

    def on_a_full_disk(*args):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, unlimited[1]))
        predict_raster(*args)

    monkeypatch.setattr(module, 'predict_raster', on_a_full_disk)
    try:
        with pytest.raises(OutputError, match=r'cannot write .*ortho_labels\.tif: .*; make room'):
            run(network, path, tmp_path / 'out')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert sorted(one.name for one in (tmp_path / 'out').iterdir()) == [
        'ortho_labels.tif',
        'ortho_overlay.png',
    ]
    assert target.read_bytes() == before


def test_what_the_disk_does_not_hold_is_noticed(network, tmp_path, monkeypatch):
    """As if GDAL had lost the last block while it closed the file."""
    close = label_rasters.LabelRaster.finish

    def finish(raster):
        count = close(raster)
        raster.checksum += 1
        return count

    monkeypatch.setattr(label_rasters.LabelRaster, 'finish', finish)
    with pytest.raises(OutputError, match=r'a_labels\.tif: what was written cannot be read again'):
        run(network, write_tiff(tmp_path / 'a.tif', picture(64, 64)), tmp_path / 'out')
    assert [*(tmp_path / 'out').iterdir()] == []


@pytest.mark.parametrize(
    ('image', 'layout', 'told'),
    [
        (
            np.zeros((9, 9, 3), np.uint16),
            {},
            'holds 3 bands of uint16 (red, green, blue), but such TIFFs are read',
        ),
        (np.zeros((9, 9, 6), np.uint8), {}, 'holds 6 bands of uint8'),
        (np.zeros((9, 9, 2), np.uint8), {}, 'gdal_translate -ot Byte -b 1 -b 2 -b 3'),
        (np.zeros((9, 9, 1), np.float32), {}, 'holds 1 band of float32 (gray)'),
    ],
)
def test_bands_that_are_no_colours_are_named(network, tmp_path, capsys, image, layout, told):
    path = write_tiff(
        tmp_path / 'a.tif', image, **layout, **({'photometric': 'rgb'} if image.shape[2] == 3 else {})
    )
    assert run(network, path, tmp_path / 'out') == [path]
    said = capsys.readouterr().err
    assert f'skipped: {path} holds' in said
    assert told in said


def test_without_rasterio_small_tiffs_are_predicted_and_large_ones_name_the_package(
    network, tmp_path, monkeypatch
):
    monkeypatch.setattr(raster_files, 'find_spec', lambda name: None)
    path = write_tiff(tmp_path / 'a.tif', picture(64, 64))
    run(network, path, tmp_path / 'out')
    assert (tmp_path / 'out/a_labels.png').exists()
    monkeypatch.setattr(raster_files, 'LARGE', 64 * 64 - 1)
    with pytest.raises(UserError, match=r'a\.tif has 64x64 pixels; .* pip install rasterio'):
        run(network, path, tmp_path / 'none')
    assert not (tmp_path / 'none').exists()


def test_a_pipeline_that_resizes_is_refused_unless_it_is_told_not_to(tmp_path):
    network = save_network(tmp_path / 'net', WHOLE, {'type': 'Resize', 'scale': (90, 90), 'keep_ratio': True})
    image = picture(100, 120)
    path = write_tiff(tmp_path / 'a.tif', image)
    with pytest.raises(ConfigError, match=r'Resize\(keep_ratio=True, scale=\(90, 90\)\); .* --no-resize'):
        run(network, path, tmp_path / 'out')
    assert [*(tmp_path / 'out').iterdir()] == []
    assert run(network, path, tmp_path / 'out', ways=Ways(resize=False)) == []
    # whole mode: windows are the crops of the training, and share a third
    sliding = save_network(tmp_path / 'slide', {'mode': 'slide', 'crop_size': WINDOW, 'stride': (43, 43)})
    expected = sliding.predictor().predict(np.ascontiguousarray(image[..., ::-1]))
    assert np.array_equal(read(tmp_path / 'out/a_labels.tif')[0], expected + 1)


def test_windows_of_an_unknown_size_are_asked_for():
    with pytest.raises(
        ConfigError, match=r'gives no size for them: --cfg-options model\.test_cfg\.mode=slide'
    ):
        window_settings(Config({'model': {'test_cfg': WHOLE, 'data_preprocessor': None}}))
    known = Config({'model': {'test_cfg': WHOLE, 'data_preprocessor': {'size': (30, 61)}}})
    assert window_settings(known) == ((30, 61), (20, 41))


def test_a_turned_raster_is_refused(network, tmp_path, monkeypatch, capsys):
    path = tmp_path / 'a.tif'
    Image.fromarray(picture(30, 20)).save(path, tiffinfo={274: 6})
    monkeypatch.setattr(raster_files, 'LARGE', 10)
    assert run(network, path, tmp_path / 'out') == [path]
    assert 'a.tif is stored rotated (orientation 6); save it upright' in capsys.readouterr().err
