"""One training step of a classifier against plain PyTorch, and against mmpretrain's own classifier."""

from copy import deepcopy

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmseg.registry import MODELS

from tests.classification.plain_network import PlainClassifier
from tests.classification.tiny import CUTS, make_batch, model_config
from tests.stand_ins import assert_same, build, gradients, load_stock, preprocessed, summed

CASES = [(1, 'softmax'), (2, 'softmax'), (2, 'contrast'), (4, 'softmax'), (4, 'contrast')]
METHODS = {  # convolutions and linear layers of the auxiliary head, and whether there is a decoder
    'infopro': (1, 2, True),
    'greedy': (0, 1, False),
    'dgl': (2, 2, False),
    'no decoder': (1, 2, False),
}
CLOSE = {'rtol': 1e-9, 'atol': 1e-11}
LR = 0.1


@pytest.mark.parametrize(
    ('modules', 'loss', 'method'),
    [(1, 'softmax', 'infopro'), *((*case, method) for case in CASES[1:] for method in METHODS)],
)
def test_a_step_is_that_of_plain_pytorch(modules, loss, method):
    convs, linears, decodes = METHODS[method]
    config = model_config(modules, loss)
    if modules > 1:
        config.backbone.local_head.auxiliary_head.update(num_convs=convs, num_linear=linears)
        if not decodes:
            config.backbone.local_head.decoder = None
    model = build(config)
    batch = make_batch()
    plain = PlainClassifier(model.state_dict(), modules, loss, convs, linears, decodes)
    losses, expected = plain.losses_and_gradients(batch)
    start = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=LR))
    logs = model.train_step(deepcopy(batch), optimizer)
    assert_same(logs['loss'], sum(losses), **CLOSE)
    assert_same(summed({k: v for k, v in logs.items() if k.startswith('head.')}), losses[-1], **CLOSE)
    for index, local in enumerate(losses[:-1]):
        found = {k: v for k, v in logs.items() if k.startswith(f'local_{index}.')}
        assert_same(summed(found), local, **CLOSE)
    after = model.state_dict()
    assert set(expected) == {name for name in start if name in plain.parameters}
    for name, value in after.items():
        moved = name in expected
        assert_same(value, start[name] - LR * expected[name] if moved else plain.state[name], **CLOSE)


@pytest.mark.parametrize('modules', CUTS)
def test_the_summed_losses_have_the_gradients_of_the_step(modules):
    whole, in_turn = (build(model_config(modules)) for _ in range(2))
    inputs, samples = preprocessed(whole, make_batch())
    summed(whole.loss(inputs, samples)).backward()
    for losses in in_turn.local_losses(inputs, samples):
        summed(losses).backward()
    assert_same(gradients(in_turn), gradients(whole))


def test_end_to_end_it_is_mmpretrain_s_classifier():
    config = model_config(1)
    ours = build(config)
    stock_config = deepcopy(config)
    stock_config.type = 'mmpretrain.ImageClassifier'
    stock_config.backbone = stock_config.backbone.encoder
    stock_config.data_preprocessor.type = 'mmpretrain.ClsDataPreprocessor'
    stock_config.head.in_channels = 16
    stock = MODELS.build(stock_config).double().train()
    load_stock(stock, ours)
    inputs, samples = preprocessed(ours, make_batch())
    losses = [summed(model.loss(inputs, deepcopy(samples))) for model in (ours, stock)]
    assert_same(*losses)
    for loss in losses:
        loss.backward()
    assert_same(gradients(ours), gradients(stock))
    predicted = [model.eval().predict(inputs) for model in (ours, stock)]
    for one, other in zip(*predicted, strict=True):
        assert_same(one.pred_score, other.pred_score)


def test_its_state_dict_loads_into_mmpretrain_s_classifier():
    state = build(model_config(4)).state_dict()
    config = model_config(1)
    stock = MODELS.build(
        {
            **config,
            'type': 'mmpretrain.ImageClassifier',
            'backbone': config.backbone.encoder,
            'data_preprocessor': {**config.data_preprocessor, 'type': 'mmpretrain.ClsDataPreprocessor'},
            'head': {**config.head, 'in_channels': 16},
        }
    )
    plain = {key: value for key, value in state.items() if 'local_heads' not in key}
    stock.load_state_dict(plain, strict=True)
    assert len(plain) < len(state)


def test_channels_last_changes_only_the_layout():
    plain, last = (build(model_config(2, channels_last=value)) for value in (False, True))
    last.load_state_dict(plain.state_dict())  # random numbers follow the layout
    assert last.backbone.encoder.layer1[0].conv1.weight.is_contiguous(memory_format=torch.channels_last)
    inputs, samples = preprocessed(plain, make_batch())
    losses = [summed(model.loss(inputs, samples)) for model in (plain, last)]
    assert_same(*losses, **CLOSE)
