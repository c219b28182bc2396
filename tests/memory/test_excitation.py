"""Traces of squeeze-and-excitation, whose activations change in place what selective policies keep."""

import torch
from mmcv.cnn import ConvModule
from mmseg.models.utils import SELayer
from torch import nn

from infopro_seg.memory.tracing.fake_model import fake_tensors
from infopro_seg.models.recomputation.recompute import recompute

NORM = {'type': 'BN'}


def block():
    return nn.Sequential(
        ConvModule(8, 32, 1, norm_cfg=NORM, act_cfg={'type': 'HSwish'}),
        SELayer(32, ratio=4),
        ConvModule(32, 8, 1, norm_cfg=NORM, act_cfg=None),
    )


def kept(policy):
    """Bytes that the block keeps for its backward pass, and the FLOPs of a step."""
    with fake_tensors() as tracker:
        module, feature = block().train(), torch.empty(2, 8, 32, 32, requires_grad=True)
        before = tracker.live
        output = recompute(policy, module, [module], feature)
        alive = tracker.live - before
        output.sum().backward()
        return alive, tracker.phases[0].flops


def test_what_changes_in_place_is_kept_once():
    none, norms, expansions, blocks = (kept(policy) for policy in ('none', 'norms', 'expansions', 'blocks'))
    maps = 4 * 2 * 32 * 32 * (32 + 8)  # of the outer convolutions
    excitation = 512 + 512  # of the inner ones, one pixel each, rounded up
    assert norms[0] == blocks[0] + maps + excitation
    assert none[0] > norms[0] > expansions[0] > blocks[0]
    assert none[1] == norms[1] < expansions[1] < blocks[1]
