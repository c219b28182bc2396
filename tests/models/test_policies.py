"""Every checkpoint policy on every encoder, squeeze-and-excitation included."""

from copy import deepcopy
from functools import cache

import pytest
import torch

from infopro_seg.models import iter_blocks
from infopro_seg.models.encoder import build_encoder
from infopro_seg.models.recompute import POLICIES, recompute
from tests.models.encoder_list import ENCODERS, Tiny, is_missing, timm
from tests.stand_ins import assert_same

SQUEEZE_AND_EXCITATION = {
    'timm_efficientnet_b0': timm('efficientnet_b0', drop_path_rate=0.3),
    'timm_regnety': timm('regnety_002'),
    'timm_seresnext': timm('seresnext26d_32x4d', layers=(1, 1, 1, 1), base_width=2, cardinality=2),
}
ALL = ENCODERS | {name: Tiny(config, (), 'timm') for name, config in SQUEEZE_AND_EXCITATION.items()}


@cache
def built(name):
    torch.manual_seed(0)
    return build_encoder(deepcopy(ALL[name].encoder))


def trained(name, policy):
    """Outputs, gradients and buffers after one pass in a policy."""
    encoder = deepcopy(built(name))
    encoder.train()
    torch.manual_seed(1)
    state, outputs = torch.randn(2, 3, *ALL[name].size), []
    for block in iter_blocks(encoder):
        state = recompute(policy, block.forward, block.modules, state)
        outputs.extend(output(state) for output in block.outputs)
    sum(output.sin().sum() for output in outputs).backward()
    gradients = {key: value.grad for key, value in encoder.named_parameters() if value.requires_grad}
    return outputs, gradients, dict(encoder.named_buffers())


@pytest.mark.parametrize('name', sorted(ALL))
def test_every_policy_trains_every_encoder_alike(name):
    if is_missing(ALL[name].package):
        pytest.skip(f'{ALL[name].package} is not installed')
    outputs, gradients, buffers = trained(name, 'none')
    assert any(gradient is not None and gradient.any() for gradient in gradients.values())
    for policy in POLICIES[1:]:
        assert_same(trained(name, policy), (outputs, gradients, buffers))
