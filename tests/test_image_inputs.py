import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from infopro_seg.errors import DataError
from infopro_seg.image_inputs import to_bgr, to_picture

RGB = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
BGR = RGB[..., ::-1]


@pytest.mark.parametrize(
    'given',
    [
        RGB,
        Image.fromarray(RGB),
        Image.fromarray(np.dstack([RGB, RGB[..., 0]])),
        np.dstack([RGB, RGB[..., 0]]),
        torch.tensor(RGB).permute(2, 0, 1),
        torch.tensor(RGB),
    ],
    ids=['array', 'pil', 'pil rgba', 'rgba', 'tensor', 'tensor, channels last'],
)
def test_images_in_colour_become_bgr(given):
    assert np.array_equal(to_bgr(given), BGR)


@pytest.mark.parametrize('given', [RGB[..., 1], RGB[..., 1:2], torch.tensor(RGB[None, ..., 1])])
def test_gray_images_become_what_their_file_is_read_as(given, tmp_path):
    cv2.imwrite(str(tmp_path / 'gray.png'), RGB[..., 1])
    assert np.array_equal(to_bgr(given), cv2.imread(str(tmp_path / 'gray.png')))


@pytest.mark.parametrize('mode', ['P', 'L', '1', 'LA', 'CMYK'])
def test_pil_images_of_other_modes_are_converted(mode):
    image = Image.fromarray(RGB).convert(mode)
    assert np.array_equal(to_bgr(image), np.asarray(image.convert('RGB'))[..., ::-1])


def test_a_photograph_is_taken_upright_as_its_file_is(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(RGB).save(tmp_path / 'photo.png', exif=exif)
    with Image.open(tmp_path / 'photo.png') as photo:
        assert np.array_equal(to_bgr(photo), np.rot90(BGR, -1))


@pytest.mark.parametrize(
    ('given', 'told'),
    [
        (RGB / 255, r'float64 with values from 0\.0 to 0\.9.*; give \(image \* 255\)\.round\(\)'),
        (RGB.astype(np.float32), r'float32 with values .*; give image\.round\(\)\.astype\(np\.uint8\)'),
        (RGB.astype(np.uint16) * 257, r'uint16 .*; give \(image / 257\)\.astype\(np\.uint8\)'),
        (RGB.astype(np.int64) - 300, r'int64 .*; scale it'),
        (torch.rand(3, 4, 4), r'a tensor of float32'),
        (RGB[None], r'an array of shape \(1, 6, 9, 3\); give .* or a list of these'),
        (RGB[..., :2], r'shape \(6, 9, 2\)'),
        (RGB[:0], r'shape \(0, 9, 3\)'),
        (Image.fromarray(RGB[..., 0].astype(np.uint16)), r'PIL mode I;16, whose values are not 0 to 255'),
        (None, r'cannot predict a NoneType; give the path of a file, a PIL image'),
        (b'abc', r'cannot predict a bytes; '),
    ],
)
def test_anything_else_is_refused_with_what_is_taken(given, told):
    with pytest.raises(DataError, match=told):
        to_bgr(given)


def test_what_a_pipeline_loads_is_made_fit_to_look_at():
    assert np.array_equal(to_picture(BGR), RGB)
    assert np.array_equal(to_picture(BGR.astype(np.float32)), RGB)
    assert np.array_equal(to_picture(RGB[..., 0]), RGB[..., :1].repeat(3, axis=2))
    assert np.array_equal(to_picture(np.dstack([BGR, RGB[..., 0]])), RGB)
    assert to_picture(BGR.astype(np.uint16) * 257).max() == 255


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.filterwarnings('error')
def test_tensors_of_half_precision_are_refused_with_the_remedy(dtype):
    with pytest.raises(DataError, match=r'with values from 0\.0 to 1\.0, .*; give \(image \* 255\)'):
        to_bgr(torch.tensor([0.0, 1.0], dtype=dtype).repeat(3, 2, 1))


@pytest.mark.parametrize('dtype', [complex, object])
def test_arrays_of_other_kinds_are_refused(dtype):
    with pytest.raises(DataError, match='but an image is'):
        to_bgr(np.zeros((2, 2, 3), dtype))
