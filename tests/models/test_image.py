import pytest
import torch
from mmengine.model import BaseDataPreprocessor, ImgDataPreprocessor
from mmseg.models.data_preprocessor import SegDataPreProcessor

from infopro_seg.models.image import to_rgb
from tests.stand_ins import make_batch

IMAGENET = {'mean': [123.675, 116.28, 103.53], 'std': [58.395, 57.12, 57.375]}


@pytest.mark.parametrize(
    'normalise',
    [{}, IMAGENET, {'mean': [127.5] * 3, 'std': [127.5] * 3}, {'mean': [3.0], 'std': [200.0]}],
    ids=['none', 'imagenet', 'symmetric', 'one for all'],
)
@pytest.mark.parametrize('order', [{'bgr_to_rgb': True}, {'rgb_to_bgr': True}, {}], ids=str)
@pytest.mark.parametrize('kind', [SegDataPreProcessor, ImgDataPreprocessor])
def test_to_rgb_is_the_inverse_of_the_preprocessor(normalise, order, kind):
    size = {'size': (32, 64)} if kind is SegDataPreProcessor else {}
    preprocessor = kind(**normalise, **order, **size)
    batch = make_batch()
    inputs = preprocessor(batch, True)['inputs']

    bgr = torch.stack(batch['inputs']).float() / 255  # as mmcv loads it
    rgb = torch.stack([bgr[:, 2], bgr[:, 1], bgr[:, 0]], dim=1)
    torch.testing.assert_close(to_rgb(inputs, preprocessor), rgb, rtol=0, atol=1e-6)


def test_a_preprocessor_that_only_collates_leaves_bgr_bytes():
    bgr = torch.tensor([0.0, 51.0, 255.0]).view(1, 3, 1, 1)
    rgb = to_rgb(bgr, BaseDataPreprocessor())
    torch.testing.assert_close(rgb.flatten(), torch.tensor([1.0, 0.2, 0.0]))


@pytest.mark.parametrize('channels', [1, 4])
def test_images_without_three_channels_keep_their_order(channels):
    preprocessor = SegDataPreProcessor(mean=[10.0], std=[4.0], bgr_to_rgb=True)
    inputs = torch.arange(channels, dtype=torch.float32).view(1, channels, 1, 1)
    expected = (4 * inputs + 10) / 255
    torch.testing.assert_close(to_rgb(inputs, preprocessor), expected)


def test_padding_outside_the_range_of_images_is_clamped():
    preprocessor = SegDataPreProcessor(**IMAGENET, bgr_to_rgb=True)
    inputs = torch.tensor([-9.0, 9.0]).view(1, 1, 1, 2).expand(1, 3, 1, 2)
    torch.testing.assert_close(to_rgb(inputs, preprocessor)[0, :, 0], torch.tensor([[0.0, 1.0]] * 3))
