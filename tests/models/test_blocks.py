from copy import deepcopy

import pytest
import torch
from mmseg.registry import MODELS
from torch import nn

from infopro_seg.errors import ConfigError
from infopro_seg.models import iter_blocks, split_blocks
from tests.stand_ins import assert_same, encoder_config, jitter

# options of ResNets; what holds for every encoder is in test_encoders.py
ENCODERS = {
    'resnet_caffe': encoder_config(type='ResNet', depth=50, style='caffe'),
    'resnet_out_1_3': encoder_config(type='ResNet', out_indices=(1, 3)),
    'resnet_three_stages': encoder_config(
        type='ResNet', num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(0, 2)
    ),
    'resnet_frozen': encoder_config(type='ResNet', frozen_stages=1, norm_eval=True),
    'resnet_v1c_dilated': encoder_config(
        strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), contract_dilation=True, multi_grid=(1, 2)
    ),
}
R18 = ['stem', *(f'layer{stage}.{step}' for stage in (1, 2, 3, 4) for step in (0, 1))]


def make_encoder(config, training=True):
    encoder = jitter(MODELS.build(deepcopy(config)))
    encoder.train(training)  # mmseg's backbones return None from it
    return encoder


@pytest.mark.parametrize('training', [True, False], ids=['train', 'eval'])
@pytest.mark.parametrize('name', ENCODERS)
def test_running_the_blocks_equals_the_encoder_bit_for_bit(name, training):
    encoder = make_encoder(ENCODERS[name], training)
    twin = deepcopy(encoder)
    image = torch.randn(2, 3, 32, 64)
    expected = encoder(image)

    outputs, state = [], image
    for block in iter_blocks(twin):
        state = block.forward(state)
        if block.output is not None:
            outputs.append(block.output(state))

    assert_same(tuple(outputs), expected)
    assert_same(dict(twin.named_buffers()), dict(encoder.named_buffers()))
    for results in (outputs, expected):
        sum(output.sin().sum() for output in results).backward()
    assert_same([p.grad for p in twin.parameters()], [p.grad for p in encoder.parameters()])


@pytest.mark.parametrize('name', ENCODERS)
def test_blocks_own_every_parameter_and_buffer_exactly_once(name):
    encoder = make_encoder(ENCODERS[name])
    owned = [id(t) for block in iter_blocks(encoder) for m in block.modules for t in tensors_of(m)]
    assert sorted(owned) == sorted(id(t) for t in tensors_of(encoder))


def tensors_of(module):
    return [*module.parameters(), *module.buffers()]


@pytest.mark.parametrize(
    ('config', 'sizes'),
    [(encoder_config(), (2, 2, 2, 2)), (encoder_config(type='ResNet', depth=50), (3, 4, 6, 3))],
)
def test_blocks_are_named_by_their_path_in_the_encoder(config, sizes):
    encoder = make_encoder(config)
    stem, *rest = iter_blocks(encoder)
    assert stem.name == 'stem'
    assert [b.name for b in rest] == [f'layer{i + 1}.{j}' for i, n in enumerate(sizes) for j in range(n)]
    assert all(block.modules == (encoder.get_submodule(block.name),) for block in rest)


@pytest.mark.parametrize(
    ('out_indices', 'expected'),
    [
        ((0, 1, 2, 3), ['layer1.1', 'layer2.1', 'layer3.1', 'layer4.1']),
        ((1, 3), ['layer2.1', 'layer4.1']),
        ((2,), ['layer3.1']),
    ],
)
def test_outputs_come_from_the_ends_of_the_stages_in_out_indices(out_indices, expected):
    encoder = make_encoder(encoder_config(out_indices=out_indices))
    assert [block.name for block in iter_blocks(encoder) if block.output is not None] == expected


@pytest.mark.parametrize(
    ('cuts', 'expected'),
    [
        ((), [R18]),
        (('stem',), [R18[:1], R18[1:]]),
        (('layer2.0', 'layer4.0'), [R18[:4], R18[4:8], R18[8:]]),
        (tuple(R18[:-1]), [[name] for name in R18]),
    ],
)
def test_modules_end_at_the_cuts(cuts, expected):
    modules = split_blocks(make_encoder(encoder_config()), cuts)
    assert [[block.name for block in module] for module in modules] == expected


@pytest.mark.parametrize(
    ('cuts', 'words'),
    [
        (('layer3.99',), ['ResNetV1c', "'layer3.99'", 'choose from stem, layer1.0', 'layer4.0']),
        (('layer1.0', ''), ["after ''", 'choose from stem, layer1.0']),
        (('layer4.1',), ['last block', "'layer4.1'", 'no block would be left', 'choose from stem, layer1.0']),
        (('layer3.0', 'stem'), ["('layer3.0', 'stem')", 'not in the order', "write ('stem', 'layer3.0')"]),
        (('layer2.0', 'layer2.0'), ["('layer2.0', 'layer2.0')", "write ('layer2.0',)"]),
    ],
    ids=['unknown', 'empty', 'last', 'unordered', 'duplicate'],
)
def test_cuts_that_cannot_be_made_are_refused_with_the_remedy(cuts, words):
    with pytest.raises(ConfigError) as caught:
        split_blocks(make_encoder(encoder_config()), cuts)
    for word in words:
        assert word in str(caught.value)
    assert str(caught.value).count('layer4.1') == cuts.count('layer4.1')  # the last block is no choice


@pytest.mark.parametrize(
    'encoder',
    [{'type': 'UNet', 'base_channels': 2}, nn.Sequential()],
    ids=lambda encoder: encoder['type'] if isinstance(encoder, dict) else 'Sequential',
)
def test_an_encoder_without_a_rule_is_refused_with_the_remedy(encoder):
    encoder = MODELS.build(encoder) if isinstance(encoder, dict) else encoder
    with pytest.raises(ConfigError) as caught:
        list(iter_blocks(encoder))
    for word in ('no block rule', type(encoder).__name__, 'ResNet', 'iter_blocks.register'):
        assert word in str(caught.value)
