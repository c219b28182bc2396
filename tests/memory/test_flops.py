import pytest
import torch
from torch import nn

from infopro_seg.memory.tracing.storages import StorageTracker

BATCH, CHANNELS, SIDE, KERNEL = 2, 12, 8, 3


@pytest.mark.parametrize('groups', [1, 3, CHANNELS])
@pytest.mark.parametrize('kind', [nn.Conv2d, nn.ConvTranspose2d])
@pytest.mark.parametrize('frozen', [None, 'weight', 'input'])
def test_a_convolution_takes_what_its_groups_multiply(kind, groups, frozen):
    """A product for each pixel of a window and each channel of its group, and as many for a gradient."""
    conv = kind(CHANNELS, CHANNELS, KERNEL, padding=1, groups=groups, bias=False)
    conv.weight.requires_grad_(frozen != 'weight')
    x = torch.zeros(BATCH, CHANNELS, SIDE, SIDE, requires_grad=frozen != 'input')
    forward = 2 * BATCH * SIDE**2 * CHANNELS * (CHANNELS // groups) * KERNEL**2
    with StorageTracker(512) as tracker:
        phase = tracker.begin('forward')
        out = conv(x)
        assert phase.flops == forward
        phase = tracker.begin('backward')
        out.sum().backward()
    assert phase.flops == forward * (2 if frozen is None else 1)
