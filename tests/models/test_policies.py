"""Every policy, in segments of blocks, on encoders of each rule and three with squeeze-and-excitation."""

from copy import deepcopy
from functools import cache

import pytest
import torch

from infopro_seg.models import iter_blocks
from infopro_seg.models.encoder import build_encoder
from infopro_seg.models.forward_pass import ForwardPass
from infopro_seg.models.recomputation.recompute_option import module_segments
from tests.models.encoder_list import A_FEW, ENCODERS, Tiny, is_missing, timm
from tests.stand_ins import assert_same

SQUEEZE_AND_EXCITATION = {
    'timm_efficientnet_b0': timm('efficientnet_b0', drop_path_rate=0.3),
    'timm_regnety': timm('regnety_002'),
    'timm_seresnext': timm('seresnext26d_32x4d', layers=(1, 1, 1, 1), base_width=2, cardinality=2),
}
OPTIONS = ('norms*2', 'expansions*3', 'blocks*2')
ALL = {name: ENCODERS[name] for name in A_FEW} | {
    name: Tiny(config, (), 'timm') for name, config in SQUEEZE_AND_EXCITATION.items()
}


@cache
def built(name):
    torch.manual_seed(0)
    return build_encoder(deepcopy(ALL[name].encoder))


def trained(name, option):
    """Outputs, gradients and buffers after one pass by an option `checkpoint`."""
    encoder = deepcopy(built(name))
    encoder.train()
    torch.manual_seed(1)
    blocks = list(iter_blocks(encoder))
    [segments] = module_segments(option, [[block.name for block in blocks]])
    forward_pass = ForwardPass(torch.randn(2, 3, *ALL[name].size))
    forward_pass.run(blocks, segments)
    outputs = forward_pass.outputs()
    sum(output.sin().sum() for output in outputs).backward()
    gradients = {key: value.grad for key, value in encoder.named_parameters() if value.requires_grad}
    return outputs, gradients, dict(encoder.named_buffers())


@pytest.mark.parametrize('name', sorted(ALL))
def test_every_policy_trains_an_encoder_alike(name):
    if is_missing(ALL[name].package):
        pytest.skip(f'{ALL[name].package} is not installed')
    outputs, gradients, buffers = trained(name, 'none')
    assert any(gradient is not None and gradient.any() for gradient in gradients.values())
    for option in OPTIONS:
        assert_same(trained(name, option), (outputs, gradients, buffers))
