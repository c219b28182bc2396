import pytest
import torch
import torch.nn.functional as F
from torch import nn

from infopro_seg.models import ReconstructionDecoder, ReconstructionLoss
from tests.stand_ins import assert_same, jitter


def make_decoder(**kwargs):
    decoder = jitter(ReconstructionDecoder(5, **{'channels': (8, 6, 4), **kwargs})).double()
    return decoder.train()


def decode(decoder, feature, height, width, align_corners=False):
    """The paper's decoder written out: 1x1, then three times upsampling and 3x3, the last to RGB."""
    p = dict(decoder.named_parameters())

    def layer(x, index, **kwargs):
        x = F.conv2d(x, p[f'convs.{index}.conv.weight'], **kwargs)
        weight, bias = p[f'convs.{index}.bn.weight'], p[f'convs.{index}.bn.bias']
        return F.batch_norm(x, None, None, weight, bias, training=True).relu()

    def up(x, *size):
        return F.interpolate(x, size, mode='bilinear', align_corners=align_corners)

    x = layer(feature, 0)
    x = layer(up(x, height // 4, width // 4), 1, padding=1)
    x = layer(up(x, height // 2, width // 2), 2, padding=1)
    return F.conv2d(up(x, height, width), p['convs.3.weight'], p['convs.3.bias'], padding=1)


@pytest.mark.parametrize('stride', [4, 8, 16, 32])
@pytest.mark.parametrize('size', [(64, 96), (65, 97), (63, 94)], ids=str)
def test_the_decoder_equals_the_paper_s_at_full_resolution(stride, size):
    decoder = make_decoder()
    feature = torch.randn(2, 5, -(-size[0] // stride), -(-size[1] // stride), dtype=torch.double)
    actual = decoder(feature, size)
    assert actual.shape == (2, 3, *size)
    assert_same(actual, decode(decoder, feature, *size), rtol=1e-10, atol=1e-10)


def test_align_corners_reaches_the_upsampling():
    decoder = make_decoder(align_corners=True)
    feature = torch.randn(2, 5, 4, 6, dtype=torch.double)
    expected = decode(decoder, feature, 32, 48, align_corners=True)
    assert_same(decoder(feature, (32, 48)), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(('channels', 'size'), [((7,), (9, 5)), ((8, 6, 4, 4, 2), (33, 3))])
def test_any_number_of_widths_ends_at_full_resolution(channels, size):
    decoder = make_decoder(channels=channels)
    assert decoder(torch.randn(2, 5, 2, 2, dtype=torch.double), size).shape == (2, 3, *size)
    convs = [module for module in decoder.modules() if isinstance(module, nn.Conv2d)]
    assert [conv.out_channels for conv in convs] == [*channels, 3]


def test_none_for_a_norm_is_none():
    decoder = make_decoder(norm_cfg=None)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in decoder.modules())


@pytest.mark.parametrize('weight', [1.0, 0.3])
def test_the_loss_is_the_mean_binary_cross_entropy_with_its_weight(weight):
    decoder = make_decoder(loss_recon={'type': 'ReconstructionLoss', 'loss_weight': weight})
    feature = torch.randn(2, 5, 4, 6, dtype=torch.double)
    image = torch.rand(2, 3, 32, 48, dtype=torch.double)
    p = decode(decoder, feature, 32, 48).sigmoid()
    expected = -weight * (image * p.log() + (1 - image) * (1 - p).log()).mean()
    assert_same(decoder.loss(feature, image), expected, rtol=1e-10, atol=1e-10)


def test_the_loss_stays_finite_where_a_sigmoid_saturates():
    loss = ReconstructionLoss()(torch.tensor([200.0, -200.0]), torch.tensor([0.0, 1.0]))
    assert_same(loss, torch.tensor(200.0))
