"""Of a TIFF with several pages, or an animation, the first is read, and users are told."""

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image, features

from infopro_seg.datasets.image_headers import count_pages
from infopro_seg.prediction.inputs import find_inputs, left_out

SHADES = (50, 100, 150)


def page(shade):
    return np.full((64, 96, 3), shade, np.uint8)


def write_pages(path, count):
    assert cv2.imwritemulti(str(path), [page(shade) for shade in SHADES[:count]])
    return path


@pytest.mark.parametrize('count', [1, 2, 3])
def test_pages_are_counted(tmp_path, count):
    assert count_pages(write_pages(tmp_path / 'stack.tif', count).read_bytes()) == count


@pytest.mark.parametrize('mask', [False, True])
def test_smaller_copies_and_masks_are_no_pages(tmp_path, mask):
    rasterio = pytest.importorskip('rasterio')
    path = tmp_path / 'pyramid.tif'
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(path, 'w', driver='GTiff', width=96, height=64, count=3, dtype='uint8') as dataset,
    ):
        dataset.write(page(50).transpose(2, 0, 1))
        dataset.build_overviews([2, 4])
        if mask:
            dataset.write_mask(True)
    assert path.read_bytes().count(struct.pack('<HHI', 254, 4, 1)) >= 2  # there are copies
    assert count_pages(path.read_bytes()) == 1


@pytest.mark.parametrize('beyond', [True, False])
def test_a_page_that_points_back_or_beyond_the_end_ends_the_count(tmp_path, beyond):
    data = bytearray(write_pages(tmp_path / 'stack.tif', 1).read_bytes())
    [first] = struct.unpack_from('<I', data, 4)
    [entries] = struct.unpack_from('<H', data, first)
    following = len(data) + 1000 if beyond else first
    struct.pack_into('<I', data, first + 2 + 12 * entries, following)
    assert count_pages(bytes(data)) == 1


@pytest.mark.parametrize('kind', ['gif', 'png', 'webp', 'avif'])
@pytest.mark.parametrize('count', [1, 3])
def test_frames_of_animations_are_counted(kind, count):
    if kind in ('webp', 'avif') and not features.check(kind):
        pytest.skip(f'this build of Pillow does not write {kind}')
    frames = [Image.fromarray(page(shade)) for shade in SHADES[:count]]
    file = io.BytesIO()
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    assert count_pages(file.getvalue()) == count


def test_other_files_are_one_image():
    assert count_pages(cv2.imencode('.jpg', page(50))[1].tobytes()) == 1
    assert count_pages(b'') == 1
    assert count_pages(b'GIF89a cut off') == 0


def test_inputs_of_several_pages_are_found(tmp_path):
    stack, single = write_pages(tmp_path / 'stack.tif', 2), write_pages(tmp_path / 'single.tif', 1)
    cv2.imwrite(str(tmp_path / 'photo.png'), page(50))
    inputs, found = find_inputs([tmp_path])
    assert {one.path for one in inputs} == {stack, single, tmp_path / 'photo.png'}
    assert left_out(inputs, found) == [
        f'images of several pages or frames: 1, e.g. {stack}; only the first is predicted'
    ]
