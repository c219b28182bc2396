"""Of a raster that is damaged, every row above the first window that cannot be read is kept."""

import numpy as np
import pytest
from PIL import Image

from tests.geotiffs import read, run, write_tiff
from tests.predictors import SLIDE, STRIDE, WINDOW, load_once, picture, save_network

STRIP = 8  # rows


@pytest.fixture(scope='module')
def network(tmp_path_factory):
    return save_network(tmp_path_factory.mktemp('slide'), SLIDE)


@pytest.mark.parametrize('share', [0.35, 0.7])
def test_bands_as_high_as_the_image_lose_no_row(network, tmp_path, monkeypatch, share):
    load_once(monkeypatch)
    path = write_tiff(tmp_path / 'ortho.tif', picture(400, 64), blockysize=STRIP)
    run(network, path, tmp_path / 'whole')
    with Image.open(path) as picture_file:
        begins = picture_file.tag_v2[273]  # of each strip, in the file
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    whole_strips = sum(begin <= share * len(content) for begin in begins) - 1
    assert run(network, path, tmp_path / 'out') == [path]
    labels, _, _ = read(tmp_path / 'out/ortho_labels_incomplete.tif')
    readable = [top for top in range(0, 400, STRIDE[0]) if top + WINDOW[0] <= whole_strips * STRIP]
    assert len(labels) == readable[-1] + STRIDE[0] > STRIDE[0]
    assert np.array_equal(labels, read(tmp_path / 'whole/ortho_labels.tif')[0][: len(labels)])
    path.write_bytes(content)
    assert run(network, path, tmp_path / 'out') == []
    assert {file.name for file in (tmp_path / 'out').iterdir()} == {'ortho_labels.tif', 'ortho_overlay.png'}
