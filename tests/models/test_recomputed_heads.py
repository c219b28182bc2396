"""What a policy keeps of a block and of a head; what a recomputed head has in common with the plain one."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from mmcv.cnn import ConvModule
from mmseg.models.backbones.resnet import Bottleneck
from mmseg.registry import MODELS
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from infopro_seg.memory.tracing.storages import StorageTracker
from infopro_seg.models.recomputation.recompute import POLICIES, recompute, recompute_norms
from tests.models.test_recompute import (
    CUTS,
    NORM,
    assert_same,
    build,
    decode_head,
    model_config,
    trained,
)


class Reads(nn.Module):
    """A head on its own."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, feature: torch.Tensor) -> torch.Tensor:
        return self.head([feature])


def kept(policy: str, module: nn.Module) -> tuple[int, int]:
    """Bytes that a module keeps for its backward pass, and the FLOPs of a step."""
    with FakeTensorMode(allow_non_fake_inputs=True), StorageTracker() as tracker:
        feature = torch.empty(2, 32, 16, 16, requires_grad=True)
        start = tracker.live
        output = recompute(policy, module, [module], feature)
        alive = tracker.live - start
        output.sum().backward()
        return alive, tracker.phases[0].flops


def test_policies_keep_ever_less_for_ever_more_flops():
    block = Bottleneck(32, 8)
    plain, norms, expansions, blocks = (kept(policy, block) for policy in POLICIES)
    assert plain[0] > norms[0] > expansions[0] > blocks[0]
    assert plain[1] == norms[1] < expansions[1] < blocks[1]


def test_heads_keep_less_for_no_flops():
    aspp = MODELS.build(decode_head() | {'in_channels': 32, 'in_index': 0})
    aspp.train()
    plain = kept('none', Reads(aspp))
    recompute_norms(aspp)
    lean = kept('none', Reads(aspp))
    assert lean[0] < plain[0]
    assert lean[1] == plain[1]


def test_heads_keep_their_state_dict_and_can_be_copied_and_pickled():
    model = build(model_config(CUTS, checkpoint='norms', checkpoint_heads=True))
    assert list(model.state_dict()) == list(build(model_config(CUTS)).state_dict())
    trained(model)
    expected = trained(copy.deepcopy(model))
    assert_same(trained(pickle.loads(pickle.dumps(model))), expected)


@pytest.mark.parametrize('part', ['neck', 'decode_head', 'auxiliary_head', 'backbone.local_heads'])
@pytest.mark.parametrize('checkpoint_heads', [False, True])
def test_the_option_reaches_every_head_and_the_neck(part, checkpoint_heads):
    neck = {'type': 'FPN', 'out_channels': 8, 'num_outs': 4, 'norm_cfg': NORM, 'act_cfg': {'type': 'ReLU'}}
    model = build({**model_config(CUTS, checkpoint_heads=checkpoint_heads), 'neck': neck})
    plain = [module for module in model.get_submodule(part).modules() if type(module) is ConvModule]
    assert (not plain) == checkpoint_heads


def test_convolution_modules_without_norm_or_activation_stay_as_they_are():
    root = nn.Sequential(
        ConvModule(3, 4, 1, norm_cfg=NORM),
        ConvModule(4, 4, 1),
        ConvModule(4, 4, 1, norm_cfg=NORM, act_cfg=None),
    )
    recompute_norms(root, None)
    assert [type(module) is ConvModule for module in root] == [False, True, True]
