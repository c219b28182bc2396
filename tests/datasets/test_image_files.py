"""What an image file may be: read as it is meant, or refused with the true reason."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets import image_files
from infopro_seg.datasets.image_files import UnreadableError, decode_image, decode_labels
from infopro_seg.datasets.image_headers import read_header
from infopro_seg.datasets.label_ids import histogram
from infopro_seg.datasets.loading import LoadImage, LoadLabels
from infopro_seg.errors import ConfigError, DataError
from tests.datasets.pairs import photograph


def png(rows, bits, kind=0):
    """A PNG of gray or palette levels of few bits, packed by hand."""
    height, width = len(rows), len(rows[0])

    def chunk(name, data):
        body = name + data
        return struct.pack('>I', len(data)) + body + struct.pack('>I', zlib.crc32(body))

    packed = b''
    for row in rows:
        digits = ''.join(f'{value:0{bits}b}' for value in row)
        digits += '0' * (-len(digits) % 8)
        packed += b'\0' + bytes(int(digits[start : start + 8], 2) for start in range(0, len(digits), 8))
    palette = chunk(b'PLTE', bytes(3 * 2**bits)) if kind == 3 else b''
    header = struct.pack('>IIBBBBB', width, height, bits, kind, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n'
        + chunk(b'IHDR', header)
        + palette
        + chunk(b'IDAT', zlib.compress(packed))
        + chunk(b'IEND', b'')
    )


def tiff(values, sample=1):
    """A TIFF of any type and number of bands, which neither Pillow nor OpenCV would write."""
    height, width, bands = values.shape
    data = values.tobytes()
    bits = 8 * values.dtype.itemsize
    tags = [(256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, 1 if bands < 3 else 2)]
    tags += [(273, 4, 8 + 2 + 12 * 10 + 4), (277, 3, bands), (278, 4, height), (279, 4, len(data))]
    tags += [(339, 3, sample)]
    entries = b''.join(struct.pack('<HHII', tag, kind, 1, value) for tag, kind, value in tags)
    return b'II*\0' + struct.pack('<IH', 8, len(tags)) + entries + struct.pack('<I', 0) + data


def encoded(values, suffix='.png', **kwargs):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, Image.registered_extensions()[suffix], **kwargs)
    return buffer.getvalue()


IDS = np.array([[0, 1, 2, 3], [3, 2, 1, 0]])


@pytest.mark.parametrize('backend', ['pillow', 'cv2'])
@pytest.mark.parametrize(
    'data',
    [
        *(png(IDS.tolist(), bits) for bits in (2, 4, 8)),
        png((IDS % 2).tolist(), 1),
        *(encoded(IDS.astype(kind)) for kind in (np.uint8, np.uint16)),
        *(encoded(IDS.astype(kind), '.tif') for kind in (np.uint8, np.uint16, np.int32, np.float32)),
    ],
    ids=[*(f'png of {bits} bits' for bits in (2, 4, 8, 1)), 'u8', 'u16', 'tif u8', 'u16', 'i32', 'f32'],
)
def test_ids_are_read_as_they_are_stored_at_every_depth(data, backend):
    labels, header = decode_labels(data, backend)
    assert labels.tolist() in (IDS.tolist(), (IDS % 2).tolist())
    assert (labels.max() == 1) == (header.bits == 1)
    assert header.size == (4, 2)


@pytest.mark.parametrize('bits', [1, 2, 4, 8])
def test_palettes_give_indices_and_not_colours(bits):
    labels, header = decode_labels(png((IDS % 2).tolist(), bits, kind=3))
    assert labels.tolist() == (IDS % 2).tolist()
    assert header.mode == f'palette {bits} bit'


@pytest.mark.parametrize('shape', [(1, 1), (1, 7), (7, 1)])
def test_an_image_of_one_pixel_s_height_or_width_keeps_its_shape(tmp_path, shape):
    results = {'seg_map_path': str(tmp_path / 'm.png'), 'img_path': str(tmp_path / 'i.png')}
    Image.fromarray(np.ones(shape, np.uint8)).save(results['seg_map_path'])
    Image.fromarray(np.full((*shape, 3), 9, np.uint8)).save(results['img_path'])
    results |= {'reduce_zero_label': False, 'seg_fields': []}
    loaded = LoadLabels(num_classes=2)(LoadImage()(results))
    assert loaded['gt_seg_map'].shape == loaded['img'].shape[:2] == shape


@pytest.mark.parametrize(
    ('picture', 'suffix', 'mode'),
    [
        ('L', '.png', 'gray 8 bit'),
        ('LA', '.png', 'gray+alpha 8 bit'),
        ('RGBA', '.png', 'RGBA 8 bit'),
        ('P', '.png', 'palette 8 bit'),
        ('1', '.png', 'gray 1 bit'),
        ('CMYK', '.jpg', 'CMYK 8 bit'),
        ('L', '.jpg', 'gray 8 bit'),
        ('RGB', '.webp', 'RGB 8 bit'),
        ('RGB', '.bmp', 'RGB 8 bit'),
        ('LA', '.tif', 'gray+alpha 8 bit'),
        ('RGBA', '.tif', 'RGBA 8 bit'),
    ],
)
def test_images_of_every_mode_are_read_as_opencv_reads_them(picture, suffix, mode):
    buffer = io.BytesIO()
    Image.fromarray(photograph()).convert(picture).save(buffer, Image.registered_extensions()[suffix])
    data = buffer.getvalue()
    image, header = decode_image(data)
    np.testing.assert_array_equal(image, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))
    assert image.shape == (20, 30, 3)
    assert header.mode == mode


def test_of_16_bits_the_upper_8_are_read():
    deep = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    image, header = decode_image(encoded(deep))
    assert header.mode == 'gray 16 bit'
    np.testing.assert_allclose(image[..., 0], deep / 256, atol=1)


REFUSED = {
    'float': (tiff(np.ones((4, 5, 1), np.float32), 3), r'32-bit float samples.*8 bits per channel'),
    'double, three bands': (tiff(np.ones((4, 5, 3), np.float64), 3), '64-bit float samples'),
    '32 bit': (tiff(np.ones((4, 5, 1), np.uint32)), '32-bit unsigned samples'),
    'signed': (tiff(np.ones((4, 5, 1), np.int16), 2), '16-bit signed samples'),
    'two bands': (tiff(np.ones((4, 5, 2), np.uint8)), '2 bands'),
    'eight bands': (tiff(np.ones((4, 5, 8), np.uint16)), '8 bands'),
    'radiance': (b'#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n', '32-bit float samples'),
    'lfs': (b'version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n', 'pointer of Git LFS'),
    'web page': (b'<!DOCTYPE html><html></html>', 'web page'),
    'heic': (b'\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'it is HEIC'),
    'text': (b'hello', 'the file is not an image'),
}


@pytest.mark.parametrize('name', REFUSED)
def test_what_cannot_be_read_as_an_image_is_refused_with_the_true_reason(name, capfd):
    data, reason = REFUSED[name]
    with pytest.raises(UnreadableError, match=reason):
        decode_image(data)
    assert capfd.readouterr().err == ''


@pytest.mark.parametrize('name', ['double, three bands', 'eight bands'])
def test_label_images_that_pillow_does_not_know_are_refused_with_the_true_reason(name):
    data, _ = REFUSED[name]
    with pytest.raises(UnreadableError, match=read_header(data).mode):
        decode_labels(data)


def test_more_pixels_than_opencv_reads_are_told():
    header = struct.pack('>IIBBBBB', 40000, 40000, 8, 0, 0, 0, 0)
    data = b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + b'IHDR' + header + bytes(4)
    with pytest.raises(
        UnreadableError, match='40000x40000 pixels, and OpenCV reads up to 1073741824'
    ) as caught:
        decode_image(data)
    assert caught.value.remedy == 'cut it into tiles'


def test_pillow_s_limit_of_pixels_is_none(monkeypatch):
    assert Image.MAX_IMAGE_PIXELS is None
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10)
    with pytest.raises(UnreadableError, match='exceeds limit of 20 pixels'):
        decode_labels(encoded(np.zeros((9, 9), np.uint8)))


def test_a_histogram_counts_in_parts_what_float32_cannot_count(monkeypatch):
    monkeypatch.setattr('infopro_seg.datasets.label_ids.EXACT', 100)
    values = np.random.default_rng(0).integers(0, 256, (37, 45), dtype=np.uint8)
    np.testing.assert_array_equal(histogram(values), np.bincount(values.ravel(), minlength=256))


def test_other_limits_of_opencv_are_known(monkeypatch):
    monkeypatch.setattr(image_files, 'MOST_PER_SIDE', 8)
    with pytest.raises(UnreadableError, match='30x20 pixels, and OpenCV reads up to 8 along a side'):
        decode_image(encoded(photograph()))


# loading


def results(path, **more):
    return {'seg_map_path': str(path), 'reduce_zero_label': False, 'seg_fields': [], **more}


@pytest.mark.parametrize('num_classes', [3, None])
def test_ids_above_255_do_not_wrap(tmp_path, num_classes):
    path = tmp_path / 'm.png'
    Image.fromarray(np.array([[0, 256], [512, 1]], np.uint16)).save(path)
    with pytest.raises(DataError, match=r'm\.png holds the label ids \[256, 512\], but the \d+ classes'):
        LoadLabels(num_classes=num_classes)(results(path))


def test_negative_ids_and_fractions_are_named(tmp_path):
    for values, words in (([[-1, 0]], r'ids \[-1\]'), ([[0.5, 0]], r'fractions \(gray 32 bit float\)')):
        path = tmp_path / 'm.tif'
        kind = np.float32 if 'fractions' in words else np.int32
        Image.fromarray(np.array(values, kind)).save(path)
        with pytest.raises(DataError, match=words):
            LoadLabels(num_classes=3)(results(path))


@pytest.mark.parametrize('label_map', [None, {0: 2, 1: 255, 2: 0, 3: 1}])
@pytest.mark.parametrize('reduce_zero_label', [False, True])
def test_ids_become_classes_as_in_mmseg(tmp_path, reduce_zero_label, label_map):
    path = tmp_path / 'm.png'
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(path)
    sample = results(path, label_map=label_map) | {'reduce_zero_label': reduce_zero_label}
    expected = LoadAnnotations()({**sample, 'seg_fields': []})['gt_seg_map']
    np.testing.assert_array_equal(LoadLabels()(sample)['gt_seg_map'], expected)


def test_a_pipeline_that_contradicts_its_data_set_is_named(tmp_path):
    path = tmp_path / 'm.png'
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(path)
    with pytest.raises(ConfigError, match='False in the data set, but True in its pipeline'):
        LoadLabels(reduce_zero_label=True)(results(path))


def test_ignore_empty_still_gives_nothing_for_an_image_that_is_missing(tmp_path):
    assert LoadImage(ignore_empty=True)({'img_path': str(tmp_path / 'none.png')}) is None
