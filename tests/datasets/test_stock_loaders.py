"""What mmseg's own `LoadAnnotations` would misread is refused where `LoadLabels` reads it rightly."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.checks import contents
from infopro_seg.datasets.checks.whole_split import check_split
from infopro_seg.datasets.preflight import require_data
from infopro_seg.errors import DataError
from tests.datasets.pairs import config_of, leaf, make, mask, photograph, save

STOCK = [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}]


def two_bits(labels):
    """A PNG of 2 bits per pixel, which Pillow does not write."""

    def chunk(name, data):
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))

    height, width = labels.shape
    padded = np.pad(labels, ((0, 0), (0, -width % 4))).reshape(height, -1, 4)
    rows = (padded * np.array([64, 16, 4, 1], np.uint8)).sum(2, dtype=np.uint8)
    lines = b''.join(b'\0' + row.tobytes() for row in rows)
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 2, 0, 0, 0, 0))
    return b'\x89PNG\r\n\x1a\n' + header + chunk(b'IDAT', zlib.compress(lines)) + chunk(b'IEND', b'')


def turned(root):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = root / 'images/train/2.jpg'
    Image.fromarray(photograph()).save(path, exif=exif)
    path.replace(root / 'images/train/2.png')


def few_bits(root):
    data = two_bits(mask())
    assert np.array_equal(np.array(Image.open(io.BytesIO(data))), mask() * 85)  # the levels, not the ids
    (root / 'masks/train/2.png').write_bytes(data)


def few_levels(root):
    height, width = mask().shape
    data = b'P5 %d %d 20\n' % (width, height) + mask().tobytes()
    assert not np.array_equal(np.array(Image.open(io.BytesIO(data))), mask())  # scaled to 255
    (root / 'masks/train/2.png').write_bytes(data)


def too_deep(root):
    save(root / 'masks/train/3.png', mask().astype(np.uint16) * 128)


def test_levels_as_digits_are_refused_with_opencv_too(tmp_path):
    height, width = mask().shape
    data = b'P2 %d %d 20\n' % (width, height) + b' '.join(b'%d' % level for level in mask().flat) + b'\n'
    (make(tmp_path) / 'masks/train/2.png').write_bytes(data)
    by_opencv = [STOCK[0], {**STOCK[1], 'imdecode_backend': 'cv2'}]
    with pytest.raises(DataError, match=r'2\.png: is a PGM of levels up to 20, which LoadAnnotations scales'):
        require_data(config_of(leaf(tmp_path, pipeline=by_opencv)), ('train',))


@pytest.mark.parametrize(
    ('defect', 'words'),
    [
        (turned, r'masks/train/2\.png: was drawn on its photograph as it is stored, and LoadAnnotations'),
        (few_bits, r'masks/train/2\.png: holds ids of 2 bits, which LoadAnnotations reads as gray levels'),
        (few_levels, r'masks/train/2\.png: is a PGM of levels up to 20, which LoadAnnotations scales'),
    ],
)
def test_what_only_our_loader_reads_is_refused_with_the_stock_one(tmp_path, defect, words):
    defect(make(tmp_path))
    require_data(config_of(leaf(tmp_path)), ('train',))
    config = config_of(leaf(tmp_path, pipeline=STOCK))
    with pytest.raises(DataError, match=words):
        require_data(config, ('train',))
    [problem] = check_split(config, workers=1).problems
    assert "dict(type='LoadLabels')" in problem.remedy


def test_all_deep_masks_are_read_whole_before_the_stock_loader_wraps_their_ids(tmp_path, monkeypatch):
    monkeypatch.setattr(contents, 'MOST_READ', 1)
    root = make(tmp_path)
    for index in range(3):
        save(root / f'masks/train/{index}.png', mask().astype(np.uint16))
    config = config_of(leaf(root, pipeline=STOCK))
    require_data(config, ('train',))
    too_deep(root)
    with pytest.raises(DataError, match=r'masks/train/3\.png: holds the label ids \[128, 256\]'):
        require_data(config, ('train',))
