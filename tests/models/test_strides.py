"""Local heads that reconstruct and classify at a fraction of the resolution."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from infopro_seg.models import InfoProHead, ReconstructionDecoder

LOCAL_HEADS = Path(__file__).parents[2] / 'configs/_base_/local_heads'


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmseg')
    torch.manual_seed(0)


def samples(label):
    return [SegDataSample(gt_sem_seg=PixelData(data=item)) for item in label]


@pytest.mark.parametrize(('stride', 'feature'), [(1, (8, 12)), (2, (8, 12)), (4, (8, 12)), (4, (16, 24))])
def test_decoder_ends_at_its_stride(stride, feature):
    decoder = ReconstructionDecoder(4, channels=(6, 5), stride=stride)
    size = (64, 96)
    assert decoder(torch.randn(2, 4, *feature), size).shape == (2, 3, size[0] // stride, size[1] // stride)


def test_decoder_compares_with_the_area_averaged_image():
    decoder = ReconstructionDecoder(4, channels=(6,), stride=4).eval()
    feature, image = torch.randn(2, 4, 4, 6), torch.rand(2, 3, 32, 48)
    averaged = image.unflatten(2, (8, 4)).unflatten(4, (12, 4)).mean((3, 5))
    expected = F.binary_cross_entropy_with_logits(decoder(feature, (32, 48)), averaged)
    torch.testing.assert_close(decoder.loss(feature, image), expected)


def test_reconstructions_have_the_size_asked_for():
    head = InfoProHead(4, decoder={'type': 'ReconstructionDecoder', 'channels': (6,), 'stride': 4})
    assert head.reconstruct(torch.randn(2, 4, 4, 6), (32, 48)).shape == (2, 3, 32, 48)


def auxiliary_head():
    config = {'type': 'FCNHead', 'num_convs': 1, 'concat_input': False, 'channels': 5, 'num_classes': 3}
    return config | {'dropout_ratio': 0.0, 'loss_decode': {'type': 'LeanCrossEntropyLoss'}}


@pytest.mark.parametrize('feature', [(4, 6), (8, 12)])
def test_head_classifies_every_stride_th_label(feature):
    head = InfoProHead(4, auxiliary_head=auxiliary_head(), stride=8)
    feature = torch.randn(2, 4, *feature)
    label = torch.randint(0, 3, (2, 1, 32, 48))
    losses = head.loss(feature, torch.rand(2, 3, 32, 48), samples(label))
    small = F.adaptive_avg_pool2d(feature, (4, 6))
    expected = F.cross_entropy(head.auxiliary_head([small]), label[:, 0, 4::8, 4::8])
    torch.testing.assert_close(losses['loss_ce'], expected)


@pytest.mark.parametrize('name', ['paper', 'lean'])
def test_presets_build_and_train(name):
    config = Config.fromfile(LOCAL_HEADS / f'{name}.py').local_head.to_dict()
    for part in (config['decoder'], config['auxiliary_head']):
        part['norm_cfg'] = {'type': 'BN'}
    head = MODELS.build({**config, 'in_channels': 8})
    label = torch.randint(0, 19, (2, 1, 64, 96))
    losses = head.loss(torch.randn(2, 8, 8, 12), torch.rand(2, 3, 64, 96), samples(label))
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
