"""Overlapping modules against the same step written out with copies of the shared blocks."""

import pickle
from copy import deepcopy

import pytest
import torch
from mmengine.optim import OptimWrapper

from infopro_seg.errors import ConfigError
from infopro_seg.models.image import to_rgb
from infopro_seg.models.local_heads.lookahead import without_own_recomputation
from tests.stand_ins import (
    CUTS,
    assert_same,
    build,
    encoder_config,
    gradients,
    make_batch,
    model_config,
    preprocessed,
    summed,
)

STEPS = (  # the modules of CUTS, and what each shares with the one before
    ('stem', 'maxpool', 'layer1.0', 'layer1.1', 'layer2.0'),
    ('layer2.1', 'layer3.0', 'layer3.1'),
    ('layer4.0', 'layer4.1'),
)


def overlapping(overlap, cuts=CUTS, **backbone):
    config = model_config(cuts, encoder=backbone.pop('encoder', encoder_config()))
    config['backbone'] |= {'overlap': overlap, **backbone}
    return config


def run(encoder, names, state):
    for name in names:
        state = encoder.get_submodule(name)(state)
    return state


def gradients_by_hand(model, batch, overlap):
    """Every local loss differentiated by the module's parameters, and by those of copies of shared blocks."""
    encoder = model.backbone.encoder
    inputs, samples = preprocessed(model, batch)
    image = to_rgb(inputs, model.data_preprocessor)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    total = {}

    def differentiate(loss, pairs):
        found = torch.autograd.grad(loss, [p for _, p in pairs], retain_graph=True, allow_unused=True)
        for (name, _), gradient in zip(pairs, found, strict=True):
            if gradient is not None:
                total[name] = total[name] + gradient if name in total else gradient

    def own(*modules):
        return [(names[id(p)], p) for module in modules for p in module.parameters()]

    state, features = inputs, {}
    for index, head in enumerate(model.backbone.local_heads):
        state = run(encoder, STEPS[index], state)
        features[index] = state
        feature, copied = state, []
        for name in STEPS[index + 1][:overlap]:
            copy = deepcopy(encoder.get_submodule(name))
            feature = copy(feature)
            path = f'backbone.encoder.{name}'
            copied += [(f'{path}.{key}', p) for key, p in copy.named_parameters()]
        modules = [encoder.get_submodule(name) for name in STEPS[index]]
        differentiate(summed(head.loss(feature, image, samples)), own(*modules, head) + copied)
        state = state.detach()
    layer3 = state
    state = run(encoder, STEPS[2], state)
    outputs = [None, None, layer3, state]
    modules = [encoder.get_submodule(name) for name in STEPS[2]]
    loss = summed(model.decode_head.loss(outputs, samples, {})) + summed(
        model.auxiliary_head.loss(outputs, samples, {})
    )
    differentiate(loss, own(*modules, model.decode_head, model.auxiliary_head))
    return {name.replace('backbone.encoder.', 'backbone.'): value for name, value in total.items()}


@pytest.mark.parametrize('overlap', [0, 1, 2])
def test_shared_blocks_get_the_sum_of_both_gradients_and_count_each_batch_once(overlap):
    model = build(overlapping(overlap))
    twin = deepcopy(model)
    for losses in model.local_losses(*preprocessed(model, make_batch())):
        summed(losses).backward()
    expected = gradients_by_hand(twin, make_batch(), overlap)
    assert_same(gradients(model), expected)
    assert len(expected) == len(list(model.parameters()))
    assert_same(dict(model.named_buffers()), dict(twin.named_buffers()))
    assert twin.backbone.encoder.layer4[0].bn1.num_batches_tracked == 1


def test_a_local_loss_reaches_its_module_and_the_shared_block_only():
    model = build(overlapping(1))
    shared = {0: 'layer2.1', 1: 'layer4.0', 2: None}
    for index, losses in enumerate(model.local_losses(*preprocessed(model, make_batch()))):
        model.zero_grad()
        summed(losses).backward()
        own = {name for name in (*STEPS[index], shared[index]) if name}
        reached = {name for name in gradients(model) if name.startswith('backbone.') and 'local' not in name}
        parts = {part for steps in STEPS for part in steps}
        assert {part for part in parts if any(f'.{part}.' in name for name in reached)} == own - {'maxpool'}


@pytest.mark.parametrize(('overlap', 'channels'), [(0, [16, 32]), (1, [16, 64]), (2, [32, 64])])
def test_channels_are_those_of_what_the_local_head_reads(overlap, channels):
    heads = build(overlapping(overlap)).backbone.local_heads
    assert [head.auxiliary_head.in_channels for head in heads] == channels


def test_reconstructions_are_decoded_after_the_shared_blocks():
    backbone = build(overlapping(1), double=False).backbone
    backbone.eval()
    image = torch.randn(2, 3, 32, 64)
    first, second = backbone.reconstructions(image, (24, 40))
    outputs = backbone.encoder(image)
    assert_same(first, backbone.local_heads[0].decoder(outputs[1], (24, 40)).detach().sigmoid())
    inside = backbone.encoder.layer4[0](outputs[2])
    assert_same(second, backbone.local_heads[1].decoder(inside, (24, 40)).detach().sigmoid())


def trained(model):
    optim_wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    torch.manual_seed(2)
    for step in range(2):
        model.train_step(make_batch(seed=step), optim_wrapper)
    return dict(model.state_dict())


@pytest.mark.parametrize('policy', ['norms', 'expansions', 'blocks'])
def test_policies_train_the_same_overlapping_network(policy):
    expected = trained(build(overlapping(2)))
    assert_same(trained(build(overlapping(2, checkpoint=policy))), expected)


def test_copies_train_like_the_original():
    model = build(overlapping(1))
    copies = [deepcopy(model), pickle.loads(pickle.dumps(model))]
    expected = trained(model)
    for copy in copies:
        assert_same(trained(copy), expected)


def test_the_encoder_s_own_checkpointing_is_off_only_where_it_is_told():
    encoder = build(overlapping(1, encoder=encoder_config(with_cp=True))).backbone.encoder
    switches = [module for module in encoder.modules() if hasattr(module, 'with_cp')]
    inside = [module for module in encoder.layer2.modules() if hasattr(module, 'with_cp')]
    before = [module.with_cp for module in switches]
    with without_own_recomputation([encoder.layer2]):
        assert not any(module.with_cp for module in inside)
        assert encoder.layer3[0].with_cp
    assert [module.with_cp for module in switches] == before
    assert all(module.with_cp for module in inside)


def test_it_does_nothing_without_cuts():
    assert trained(build(overlapping(3, ()))).keys() == trained(build(model_config(()))).keys()


@pytest.mark.parametrize(
    ('backbone', 'words'),
    [
        (
            {'overlap': 3},
            ['overlap=3', 'module 2', 'only 2', 'layer4.0, layer4.1', '2 or less', 'cuts'],
        ),
        ({'overlap': -1}, ['overlap=-1', 'whole number, 0 or more']),
        ({'overlap': 1.5}, ['overlap=1.5', 'whole number, 0 or more']),
        ({'overlap': 1, 'momentum_block': 0.9}, ['overlap=1', 'momentum_block=0.9', 'choose one']),
    ],
    ids=['too long', 'negative', 'fraction', 'with a momentum block'],
)
def test_bad_overlaps_are_refused_with_cause_value_and_remedy(backbone, words):
    with pytest.raises(ConfigError) as caught:
        build(overlapping(**backbone))
    for word in words:
        assert word in str(caught.value)
