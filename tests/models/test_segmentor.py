from copy import deepcopy

import pytest
import torch
from mmseg.registry import MODELS

from tests.stand_ins import (
    CUTS,
    assert_same,
    build,
    deeplabv3plus_config,
    encoder_config,
    gradients,
    head_config,
    load_stock,
    make_batch,
    model_config,
    preprocessed,
    stock_config,
    summed,
    upernet_config,
)

MULTI_LEVEL = {'DeepLabV3+': deeplabv3plus_config(), 'UPerNet': upernet_config()}


def backward_per_module(model, batch):
    losses = {}
    for part in model.local_losses(*preprocessed(model, batch)):
        losses |= part
        summed(part).backward()
    return {name: value.detach() for name, value in losses.items()}


def backward_merged(model, batch):
    losses = model.loss(*preprocessed(model, batch))
    summed(losses).backward()
    return {name: value.detach() for name, value in losses.items()}


@pytest.mark.parametrize(
    'cuts', [(), ('layer3.0',), CUTS, ('stem', 'layer1.0', 'layer2.1', 'layer4.0')], ids=str
)
@pytest.mark.parametrize('dropout', [0.0, 0.5])
def test_backward_per_module_gives_the_gradients_of_the_merged_loss(cuts, dropout):
    heads = {'decode_head': head_config(in_index=3) | {'dropout_ratio': dropout}}
    model = build(model_config(cuts, **heads))
    twin, batch = deepcopy(model), make_batch()
    torch.manual_seed(1)
    losses = backward_per_module(model, batch)
    torch.manual_seed(1)
    assert_same(losses, backward_merged(twin, batch))
    assert_same(gradients(model), gradients(twin))
    assert_same(dict(model.named_buffers()), dict(twin.named_buffers()))
    assert gradients(model).keys() == {
        name.replace('backbone.encoder.', 'backbone.') for name, _ in model.named_parameters()
    }


def test_a_module_s_loss_reaches_its_own_blocks_and_local_head_only():
    model = build(model_config(CUTS))
    owners = [
        ('backbone.stem.', 'backbone.layer1.', 'backbone.layer2.0.', 'backbone.local_heads.0.'),
        ('backbone.layer2.1.', 'backbone.layer3.', 'backbone.local_heads.1.'),
        ('backbone.layer4.', 'decode_head.', 'auxiliary_head.'),
    ]
    # the auxiliary head reads layer3's output, detached: it belongs to the last module all the same
    names = [name.replace('.encoder.', '.') for name, _ in model.named_parameters()]
    parts = model.local_losses(*preprocessed(model, make_batch()))
    for prefixes, losses in zip(owners, parts, strict=True):
        model.zero_grad()
        summed(losses).backward()
        reached = gradients(model)
        assert list(reached) == [name for name in names if name.startswith(prefixes)]
        assert all(gradient.abs().sum() > 0 for gradient in reached.values())


@pytest.mark.parametrize('head', [head_config(in_index=3), *MULTI_LEVEL.values()], ids=['FCN', *MULTI_LEVEL])
def test_without_cuts_it_is_the_stock_network(head):
    config = model_config((), decode_head=head)
    stock, model = build(stock_config(config)), build(config, seed=1)
    load_stock(model, stock)
    batch = make_batch()
    assert list(model.state_dict()) == list(stock.state_dict())
    expected = backward_merged(stock, batch)
    for backward in (backward_merged, backward_per_module):
        twin = deepcopy(model)
        assert_same(backward(twin, batch), expected)
        assert_same(gradients(twin), gradients(stock))
        assert_same(dict(twin.state_dict()), dict(stock.state_dict()))


@pytest.mark.parametrize('name', MULTI_LEVEL)
def test_multi_level_heads_train_as_in_the_stock_network_but_no_module_before_the_last(name):
    """The stock gradients of what lies behind the last cut; before it, those of the local losses alone."""
    config = model_config(CUTS, decode_head=MULTI_LEVEL[name])
    stock, model = build(stock_config(config)), build(config, seed=1)
    load_stock(model, stock)
    twin, batch = deepcopy(model), make_batch()
    losses = backward_per_module(model, batch)
    stock_losses = backward_merged(stock, batch)
    assert_same({key: value for key, value in losses.items() if 'local' not in key}, stock_losses)

    actual = gradients(model)
    last = ('backbone.layer4.', 'decode_head.', 'auxiliary_head.')
    expected = {key: value for key, value in gradients(stock).items() if key.startswith(last)}
    assert expected.keys() == {key for key in actual if key.startswith(last)}
    assert_same({key: actual[key] for key in expected}, expected, rtol=1e-9, atol=1e-12)

    *early, _ = twin.local_losses(*preprocessed(twin, batch))
    for part in early:
        summed(part).backward()
    assert_same({key: value for key, value in actual.items() if not key.startswith(last)}, gradients(twin))


@pytest.mark.parametrize(
    ('decode_head', 'auxiliary_head', 'expected'),
    [
        (head_config(in_index=3), None, {3}),
        (head_config(in_index=-1), head_config(in_index=2), {2, 3}),
        (head_config(), [head_config(in_index=0), head_config(in_index=1)], {0, 1, 3}),
        (upernet_config((1, 3)), None, {1, 3}),
        (deeplabv3plus_config(), None, {0, 3}),
    ],
    ids=['one', 'negative', 'list', 'UPerNet', 'DeepLabV3+'],
)
def test_the_heads_get_the_outputs_they_read_and_none_for_the_others(decode_head, auxiliary_head, expected):
    model = build(model_config(decode_head=decode_head, auxiliary_head=auxiliary_head))
    seen, original = [], model.decode_head.loss
    model.decode_head.loss = lambda features, *args: seen.extend(features) or original(features, *args)
    inputs, samples = preprocessed(model, make_batch())
    encoder = deepcopy(model.backbone.encoder)
    model.loss(inputs, samples)
    outputs = encoder(inputs)
    assert_same(
        [None if feature is None else feature.detach() for feature in seen],
        [output.detach() if index in expected else None for index, output in enumerate(outputs)],
    )


def test_a_neck_reads_every_output_and_trains_with_the_last_module():
    neck = {'type': 'FPN', 'in_channels': [8, 16, 32, 64], 'out_channels': 6, 'num_outs': 4}
    heads = {'decode_head': head_config(in_index=0, in_channels=6), 'auxiliary_head': None}
    config = model_config(neck=neck, **heads)
    stock, model = build(stock_config(config, (6,) * 4)), build(config, seed=1)
    load_stock(model, stock)
    batch = make_batch()
    backward_per_module(model, batch)
    backward_merged(stock, batch)
    last = ('backbone.layer4.', 'neck.', 'decode_head.')
    expected = {key: value for key, value in gradients(stock).items() if key.startswith(last)}
    assert {key.split('.')[0] for key in expected} == {'backbone', 'neck', 'decode_head'}
    actual = gradients(model)
    assert_same({key: actual[key] for key in expected}, expected, rtol=1e-9, atol=1e-12)


def test_norms_on_side_outputs_get_the_stock_gradients():
    config = model_config(
        ('steps.0', 'steps.1'),
        encoder={'type': 'SideNormEncoder'},
        decode_head=upernet_config((0, 1, 2)),
        auxiliary_head=None,
    )
    stock, model = build(stock_config(config, (4, 8, 16))), build(config, seed=1)
    load_stock(model, stock)
    batch = make_batch()
    backward_per_module(model, batch)
    backward_merged(stock, batch)
    last = ('backbone.norms.', 'backbone.steps.2.', 'decode_head.')
    expected = {key: value for key, value in gradients(stock).items() if key.startswith(last)}
    actual = gradients(model)
    assert_same({key: actual[key] for key in expected}, expected, rtol=1e-9, atol=1e-12)
    assert len(expected) == 6 + 2 + len(list(model.decode_head.parameters()))


@pytest.mark.parametrize(
    ('encoder', 'cuts'),
    [
        (encoder_config(type='ResNet', depth=50), ('layer1.2', 'layer3.2', 'layer3.4')),
        (encoder_config(type='ResNetV1d', depth=34), ('layer2.3', 'layer3.1')),
        (encoder_config(type='ResNeXt', depth=50, base_channels=16, groups=4, base_width=8), ('layer3.0',)),
        (encoder_config(type='ResNeSt', depth=50, radix=2), ('layer2.3',)),
        (encoder_config(frozen_stages=1), ('layer1.0', 'layer2.1')),
    ],
    ids=lambda value: value['type'] if isinstance(value, dict) else None,
)
@pytest.mark.parametrize('head', [head_config(in_index=3), *MULTI_LEVEL.values()], ids=['FCN', *MULTI_LEVEL])
def test_every_trainable_parameter_gets_a_gradient(encoder, cuts, head):
    head = {key: value for key, value in head.items() if key != 'c1_in_channels'}
    if 'c1_channels' in head:
        head['c1_in_channels'] = MODELS.build(encoder)(torch.zeros(2, 3, 64, 64))[0].shape[1]
    model = build(model_config(cuts, encoder=encoder, decode_head=head), double=False)
    backward_per_module(model, make_batch())
    trainable = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name for name, p in model.named_parameters() if p.grad is not None} == trainable


def test_losses_carry_the_name_of_their_module():
    model = build(model_config(CUTS), double=False)
    parts = [list(part) for part in model.local_losses(*preprocessed(model, make_batch()))]
    local = ['loss_recon', 'loss_ce', 'acc_seg']
    assert parts == [
        [f'local_0.{name}' for name in local],
        [f'local_1.{name}' for name in local],
        ['decode.loss_ce', 'decode.acc_seg', 'aux.loss_ce', 'aux.acc_seg'],
    ]


def test_local_losses_as_a_mode_of_forward_compute_nothing_before_they_are_asked():
    model = build(model_config(CUTS), double=False)
    calls = []
    model.backbone.encoder.stem.register_forward_hook(lambda *args: calls.append(1))
    parts = model(*preprocessed(model, make_batch()), mode='local_losses')
    assert calls == []
    next(parts)
    assert calls == [1]


@pytest.mark.parametrize('cuts', [(), CUTS], ids=str)
def test_predictions_are_those_of_the_stock_network(cuts):
    config = model_config(cuts)
    stock, model = build(stock_config(config), double=False), build(config, seed=1, double=False)
    model.test_cfg.return_logits = True
    load_stock(model, stock)
    model.eval(), stock.eval()
    actual, expected = model.test_step(make_batch(3)), stock.test_step(make_batch(3))
    assert len(actual) == 3
    for ours, theirs in zip(actual, expected, strict=True):
        assert_same(ours.seg_logits.data, theirs.seg_logits.data.half())
        assert_same(ours.pred_sem_seg.data.long(), theirs.pred_sem_seg.data)
    inputs = preprocessed(model, make_batch())[0]
    assert_same(model(inputs, mode='tensor'), stock(inputs, mode='tensor'))
