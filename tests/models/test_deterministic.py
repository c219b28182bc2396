"""`deterministic=True`: lean losses and local heads avoid what has no deterministic kernel on a GPU."""

from contextlib import contextmanager

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch.utils._python_dispatch import TorchDispatchMode

from infopro_seg.models import InfoProHead
from infopro_seg.models.local_heads.local_head import area_average
from infopro_seg.models.losses.upsampled_cross_entropy import upsampled_cross_entropy
from tests.stand_ins import assert_same, head_config

# of torch.use_deterministic_algorithms: what raises on a GPU, and that losses and heads may call
REFUSED = (
    'upsample_bilinear2d_backward',
    'adaptive_avg_pool2d_backward',
    'cumsum',
    'nll_loss2d',
    'grid_sampler',
)
CLOSE = {'rtol': 1e-12, 'atol': 1e-12}


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


class Recorder(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(str(func))
        return func(*args, **(kwargs or {}))

    def refused(self):
        return {name for name in self.names if any(part in name for part in REFUSED)}


def run(function, feature):
    """Value and gradient, and which of the refused operations ran."""
    feature = feature.clone().requires_grad_()
    with Recorder() as recorder:
        value = function(feature)
        value.sin().sum().backward()
    return (value.detach(), feature.grad), recorder.refused()


def assert_same_without_what_is_refused(function, feature):
    expected, refused = run(function, feature)
    assert refused  # or the test would prove nothing
    with deterministic():
        found, refused = run(function, feature)
    assert refused == set()
    assert_same(found, expected, **CLOSE)


@pytest.mark.parametrize('align_corners', [False, True])
def test_the_lean_loss(align_corners):
    label = torch.randint(0, 3, (2, 21, 40))

    def loss(logits):
        return upsampled_cross_entropy(logits, label, align_corners=align_corners).loss

    assert_same_without_what_is_refused(loss, torch.randn(2, 3, 5, 7, dtype=torch.float64))


@pytest.mark.parametrize('size', [(4, 5), (3, 4), (5, 9)])
def test_averages_over_areas(size):
    feature = torch.randn(2, 3, 8, 10, dtype=torch.float64)
    assert_same_without_what_is_refused(lambda x: area_average(x, size), feature)


def test_the_lean_local_head():
    auxiliary = head_config(num_convs=0, channels=4) | {'loss_decode': {'type': 'LeanCrossEntropyLoss'}}
    head = InfoProHead(4, auxiliary_head=auxiliary, stride=8).double()
    labels = torch.randint(0, 5, (2, 1, 40, 70))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]

    def loss(feature):
        return head.loss(feature, torch.rand(2, 3, 40, 70), samples)['loss_ce']

    assert_same_without_what_is_refused(loss, torch.randn(2, 4, 10, 18, dtype=torch.float64))
