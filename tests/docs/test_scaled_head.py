"""The scaled local head of the trials on CamVid."""

from copy import deepcopy

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from tests.docs.benchmark_modules import CAMVID, imported


@pytest.fixture
def heads(monkeypatch):
    """A scaled local head, and a plain one with the same weights."""
    module = imported(monkeypatch, CAMVID / 'scale', 'scaled_head', MODELS, 'ScaledInfoProHead')
    norm = {'type': 'BN', 'requires_grad': True}
    options = {
        'in_channels': 6,
        'decoder': {'type': 'ReconstructionDecoder', 'channels': (4, 4), 'norm_cfg': norm},
        'auxiliary_head': {
            'type': 'FCNHead',
            'channels': 4,
            'num_convs': 1,
            'concat_input': False,
            'num_classes': 3,
            'norm_cfg': norm,
            'dropout_ratio': 0,
        },
    }
    scaled = module.ScaledInfoProHead(**deepcopy(options)).double()
    plain = MODELS.build(dict(type='InfoProHead', **options)).double()
    plain.load_state_dict({k: v for k, v in scaled.state_dict().items() if k not in ('scale', 'shift')})
    return scaled, plain


def losses(head, feature):
    torch.manual_seed(1)
    image = torch.rand(2, 3, 32, 32, dtype=torch.double)
    labels = torch.randint(3, (2, 1, 32, 32))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    return head.loss(feature, image, samples)


def test_it_starts_as_the_plain_head(heads):
    scaled, plain = heads
    feature = torch.randn(2, 6, 8, 8, dtype=torch.double)
    assert losses(scaled, feature) == losses(plain, feature)


def test_it_reads_the_scaled_and_shifted_feature_map(heads):
    scaled, plain = heads
    with torch.no_grad():
        scaled.scale.copy_(torch.randn(6, 1, 1))
        scaled.shift.copy_(torch.randn(6, 1, 1))
    feature = torch.randn(2, 6, 8, 8, dtype=torch.double)
    expected = torch.stack(
        [feature[:, c] * scaled.scale[c, 0, 0] + scaled.shift[c, 0, 0] for c in range(6)], dim=1
    )
    torch.testing.assert_close(losses(scaled, feature), losses(plain, expected))
    torch.testing.assert_close(scaled.reconstruct(feature, (16, 16)), plain.reconstruct(expected, (16, 16)))


def test_scale_and_shift_are_trained_by_the_local_losses(heads):
    scaled, plain = heads
    feature = torch.randn(2, 6, 8, 8, dtype=torch.double)
    total = sum(value for name, value in losses(scaled, feature).items() if 'loss' in name)
    scale, shift = torch.autograd.grad(total, [scaled.scale, scaled.shift])
    read = feature.clone().requires_grad_()
    total = sum(value for name, value in losses(plain, read).items() if 'loss' in name)
    (gradient,) = torch.autograd.grad(total, read)
    torch.testing.assert_close(scale.flatten(), (gradient * feature).sum((0, 2, 3)))
    torch.testing.assert_close(shift.flatten(), gradient.sum((0, 2, 3)))
