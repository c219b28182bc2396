import weakref
from copy import deepcopy

import pytest
import torch
from mmseg.registry import MODELS

from infopro_seg.errors import ConfigError
from infopro_seg.models import InfoProBackbone
from tests.stand_ins import (
    CUTS,
    WIDTHS,
    assert_same,
    encoder_config,
    head_config,
    jitter,
    local_head_config,
    make_batch,
    summed,
)


def make_backbone(cuts=CUTS, encoder=None, local_head=None):
    local_head = local_head or (local_head_config() if cuts else None)
    backbone = jitter(InfoProBackbone(encoder or encoder_config(), cuts, local_head))
    backbone.train()
    return backbone


def run(backbone, read=None, seed=0):
    """Trains the early modules as the train step does; returns the outputs and the modules' losses."""
    random = torch.Generator().manual_seed(seed)
    inputs = torch.randn(2, 3, 32, 64, generator=random)
    image = torch.rand(2, 3, 32, 64, generator=random)
    parts = backbone.local_losses(inputs, image, make_batch()['data_samples'], read)
    losses = []
    while True:
        try:
            losses.append(next(parts))
        except StopIteration as stop:
            return inputs, stop.value, losses
        summed(losses[-1]).backward()


@pytest.mark.parametrize('training', [True, False], ids=['train', 'eval'])
def test_outside_training_the_backbone_is_its_encoder(training):
    backbone = make_backbone()
    backbone.train(training)
    twin = deepcopy(backbone.encoder)
    image = torch.randn(2, 3, 32, 64)
    assert_same(backbone(image), twin(image))


@pytest.mark.parametrize(
    ('encoder', 'cuts', 'out_channels', 'head_channels'),
    [
        (encoder_config(), (), WIDTHS, []),
        (encoder_config(), ('stem', 'layer1.1', 'layer2.0', 'layer4.0'), WIDTHS, [8, 8, 16, 64]),
        (encoder_config(type='ResNet', depth=50, out_indices=(1, 3)), ('layer3.5',), (64, 256), [128]),
        ({'type': 'SideNormEncoder'}, ('steps.0', 'steps.1'), (4, 8, 16), [4, 8]),
    ],
    ids=['K=1', 'K=5', 'bottleneck', 'side norms'],
)
def test_channels_are_inferred_for_heads_and_outputs(encoder, cuts, out_channels, head_channels):
    backbone = make_backbone(cuts, encoder)
    assert backbone.out_channels == out_channels
    assert [head.auxiliary_head.in_channels for head in backbone.local_heads] == head_channels
    assert [head.decoder.convs[0].in_channels for head in backbone.local_heads] == head_channels


def test_building_leaves_the_encoder_as_its_config_builds_it():
    torch.manual_seed(3)
    encoder = MODELS.build(encoder_config(frozen_stages=1))
    encoder.train()
    after = torch.rand(1)
    torch.manual_seed(3)
    backbone = InfoProBackbone(encoder_config(frozen_stages=1))
    assert_same(torch.rand(1), after)
    assert_same(dict(backbone.encoder.state_dict()), dict(encoder.state_dict()))
    assert [m.training for m in backbone.encoder.modules()] == [m.training for m in encoder.modules()]


@pytest.mark.parametrize('read', [None, {3}, {0, 2}, {0, 1, 2, 3}, set()], ids=str)
def test_outputs_that_are_read_equal_the_encoder_s_and_the_others_are_none(read):
    backbone = make_backbone()
    twin = deepcopy(backbone.encoder)
    inputs, outputs, _ = run(backbone, read)
    kept = range(4) if read is None else read
    expected = tuple(output.detach() if i in kept else None for i, output in enumerate(twin(inputs)))
    assert_same(tuple(o if o is None else o.detach() for o in outputs), expected)


@pytest.mark.parametrize(
    ('cuts', 'attached'),
    [((), [0, 1, 2, 3]), (('layer1.1',), [1, 2, 3]), (CUTS, [3]), (('layer1.0', 'layer4.0'), [3])],
    ids=str,
)
def test_outputs_of_early_modules_are_detached_and_those_of_the_last_are_not(cuts, attached):
    _, outputs, _ = run(make_backbone(cuts))
    assert [i for i, output in enumerate(outputs) if output.grad_fn is not None] == attached
    assert [i for i, output in enumerate(outputs) if output.requires_grad] == attached


@pytest.mark.parametrize(('read', 'alive'), [({3}, False), ({0, 3}, True), (None, True)], ids=str)
def test_an_early_output_stays_in_memory_only_if_it_is_read(read, alive):
    backbone = make_backbone()
    early, seen = [], []
    layers = backbone.encoder.layer1, backbone.encoder.layer4
    layers[0][1].register_forward_hook(lambda module, inputs, output: early.append(storage(output)))
    layers[1][1].register_forward_hook(lambda *args: seen.append(early[0]() is not None))
    _, outputs, _ = run(backbone, read)
    assert seen == [alive]
    assert len(outputs) == 4


def storage(tensor):
    return weakref.ref(tensor.untyped_storage())


def test_norms_on_side_outputs_are_trained_by_the_last_module_alone():
    backbone = make_backbone(('steps.0', 'steps.1'), {'type': 'SideNormEncoder'})
    twin = deepcopy(backbone.encoder)
    inputs, outputs, losses = run(backbone)
    assert len(losses) == 2
    assert all(p.grad is None for p in backbone.encoder.norms.parameters())
    assert all(p.grad is not None for p in backbone.encoder.steps[:2].parameters())
    assert all(p.grad is None for p in backbone.encoder.steps[2].parameters())

    expected = twin(inputs)
    assert_same(tuple(o.detach() for o in outputs), tuple(o.detach() for o in expected))
    for results in (outputs, expected):
        sum(output.sin().sum() for output in results).backward()
    for name in ('norms', 'steps.2'):  # what no detached state lies in front of
        actual = [p.grad for p in backbone.encoder.get_submodule(name).parameters()]
        assert_same(actual, [p.grad for p in twin.get_submodule(name).parameters()])


def test_reconstructions_are_decoded_from_the_features_at_the_cuts():
    heads = [
        local_head_config(),
        {'type': 'InfoProHead', 'auxiliary_head': head_config()},
        local_head_config(),
    ]
    backbone = make_backbone(('stem', 'layer1.1', 'layer2.1'), local_head=heads)
    backbone.eval()
    image = torch.randn(2, 3, 32, 64)
    stem = backbone.encoder.maxpool(backbone.encoder.stem(image))
    layer2 = backbone.encoder(image)[1]
    first, second, third = backbone.reconstructions(image, (24, 40))
    assert second is None
    assert_same(first, backbone.local_heads[0].decoder(stem, (24, 40)).detach().sigmoid())
    assert_same(third, backbone.local_heads[2].decoder(layer2, (24, 40)).detach().sigmoid())


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'cuts': 'layer3.1'}, ["the string 'layer3.1'", "('layer3.1',)"]),
        ({'cuts': ('layer9.9',)}, ["after 'layer9.9'", 'choose from stem']),
        ({'cuts': ('layer4.1',)}, ['last block', 'choose from stem']),
        ({'cuts': ('layer3.1', 'layer2.1')}, ['not in the order', "('layer2.1', 'layer3.1')"]),
        ({'local_head': None}, [str(CUTS), 'give the backbone a local_head']),
        ({'local_head': [local_head_config()] * 3}, ['lists 3 heads', '2 cuts', 'one per cut']),
        ({'encoder': {'type': 'UNet', 'base_channels': 2}}, ['no block rule', 'UNet', 'ResNet', 'Register']),
    ],
    ids=['string', 'unknown', 'last', 'unordered', 'no head', 'head count', 'no rule'],
)
def test_bad_configs_are_refused_with_cause_value_and_remedy(change, words):
    config = {'encoder': encoder_config(), 'cuts': CUTS, 'local_head': local_head_config(), **change}
    with pytest.raises(ConfigError) as caught:
        InfoProBackbone(**config)
    for word in words:
        assert word in str(caught.value)
