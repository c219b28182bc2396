import re
import zlib

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmseg.datasets.transforms import LoadAnnotations

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.loading import LoadImage, LoadLabels
from infopro_seg.errors import DataError
from tests.runs import images, label_file


@pytest.fixture
def pair(spoilt):
    image = images(spoilt)[0]
    return image, label_file(image)


def results(pair):
    image, label = map(str, pair)
    return {'img_path': image, 'seg_map_path': label, 'reduce_zero_label': False, 'seg_fields': []}


def load_pair(pair, **kwargs):
    return LoadLabels(**kwargs)(LoadImage()(results(pair)))


def corrupt(path):
    """Another byte in the middle of the pixels, under a right checksum: only decompressing notices."""
    content = bytearray(path.read_bytes())
    start = content.index(b'IDAT')
    length = int.from_bytes(content[start - 4 : start], 'big')
    content[start + 4 + length // 2] ^= 0xFF
    content[start + 4 + length // 2 + 1] ^= 0xFF
    end = start + 4 + length
    content[end : end + 4] = zlib.crc32(bytes(content[start:end])).to_bytes(4, 'big')
    path.write_bytes(bytes(content))


BREAKS = {
    'missing': lambda path: path.unlink(),
    'empty': lambda path: path.write_bytes(b''),
    'truncated': lambda path: path.write_bytes(path.read_bytes()[:100]),
    'cut in its header': lambda path: path.write_bytes(path.read_bytes()[:20]),
    'no image': lambda path: path.write_text('hello'),
    'a folder': lambda path: (path.unlink(), path.mkdir()),
}


def test_a_good_pair_is_loaded_as_mmseg_loads_it(pair):
    expected = LoadAnnotations()(LoadImageFromFile()(results(pair)))
    actual = load_pair(pair, num_classes=19)
    assert actual.keys() == expected.keys()
    for key in ('img', 'gt_seg_map'):
        assert np.array_equal(actual[key], expected[key])
        assert actual[key].dtype == np.uint8


@pytest.mark.parametrize('how', BREAKS)
@pytest.mark.parametrize('kind', ['image', 'label image'])
def test_an_unreadable_file_is_named(pair, kind, how):
    path = pair[0] if kind == 'image' else pair[1]
    BREAKS[how](path)
    message = rf'cannot read the {kind} {re.escape(str(path))}: .+; replace or remove it'
    with pytest.raises(DataError, match=message):
        load_pair(pair)


def test_a_label_image_with_damaged_pixels_is_named(pair):
    corrupt(pair[1])
    with pytest.raises(DataError, match=re.escape(str(pair[1]))):
        load_pair(pair, num_classes=19)


def test_a_label_image_of_another_size_is_named_with_both_sizes(pair):
    cv2.imwrite(str(pair[1]), np.zeros((32, 100), np.uint8))
    with pytest.raises(DataError) as caught:
        load_pair(pair)
    for part in (f'{pair[1]} is 100x32 pixels', f'{pair[0]} is 128x64', 'must have the same size'):
        assert part in str(caught.value)


def test_a_coloured_label_image_is_told_from_one_of_another_size(pair):
    cv2.imwrite(str(pair[1]), np.zeros((64, 128, 3), np.uint8))
    with pytest.raises(DataError, match=r'3 channels.*one id per pixel'):
        load_pair(pair)


@pytest.mark.parametrize(
    ('ids', 'num_classes', 'outside'),
    [
        ((0, 18, 255), 19, None),
        ((19,), 19, [19]),
        ((254, 19, 3), 19, [19, 254]),
        ((33,), None, None),
        ((4,), 4, [4]),
    ],
)
def test_ids_outside_the_classes_are_named(pair, ids, num_classes, outside):
    labels = np.zeros((64, 128), np.uint8)
    labels.flat[: len(ids)] = ids
    cv2.imwrite(str(pair[1]), labels)
    if outside is None:
        assert np.array_equal(load_pair(pair, num_classes=num_classes)['gt_seg_map'], labels)
        return
    with pytest.raises(DataError) as caught:
        load_pair(pair, num_classes=num_classes)
    for part in (
        str(pair[1]),
        f'the label ids {outside}',
        f'0 to {num_classes - 1}',
        'prepare_cityscapes.py',
    ):
        assert part in str(caught.value)
