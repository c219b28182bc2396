"""Momentum blocks against averages, and a train step, written out with copies of the encoder's layers."""

import pickle
from copy import deepcopy

import pytest
import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.runner import load_checkpoint, save_checkpoint

from infopro_seg.errors import ConfigError
from infopro_seg.hooks.checkpoint_guard import drop_local_heads, fit_start, require_fit
from tests.stand_ins import (
    CUTS,
    assert_same,
    build,
    encoder_config,
    make_batch,
    model_config,
    preprocessed,
    stock_config,
    summed,
)

MOMENTUM, LR = 0.7, 0.05
AFTER = ('layer2.1', 'layer4.0')  # the blocks after CUTS
CLOSE = {'rtol': 1e-10, 'atol': 1e-12}
LOCAL = ('backbone.local_heads.', 'backbone.momentum_blocks.')


def with_momentum(option=MOMENTUM, cuts=CUTS, **backbone):
    config = model_config(cuts, encoder=backbone.pop('encoder', encoder_config()))
    config['backbone'] |= {'momentum_block': option, **backbone}
    return config


def sgd(model, **kwargs):
    return OptimWrapper(torch.optim.SGD(model.parameters(), lr=LR), **kwargs)


def averages(model):
    """The averages by the block's own keys."""
    blocks = zip(model.backbone.momentum_blocks, AFTER, strict=True)
    return [
        {k.removeprefix(f'{name}.'): v.clone() for k, v in block.average.state_dict().items()}
        for block, name in blocks
    ]


def test_a_local_loss_reaches_nothing_of_other_modules():
    model = build(with_momentum({'learnable': True}))
    after = [('layer2.1', 'layer3', 'layer4', 'decode'), ('stem', 'layer1', 'layer2.0', 'layer4', 'decode')]
    for index, losses in enumerate(model.local_losses(*preprocessed(model, make_batch()))):
        model.zero_grad()
        summed(losses).backward()
        reached = [name for name, p in model.named_parameters() if p.grad is not None]
        if index < 2:
            others = tuple(f'backbone.encoder.{name}' for name in after[index])
            assert not [name for name in reached if name.startswith((*others, 'decode_head'))]
            assert not [name for name in reached if f'momentum_blocks.{1 - index}' in name]
            assert [name for name in reached if f'momentum_blocks.{index}' in name]


def test_averages_move_once_per_step_of_the_optimizer():
    model = build(with_momentum())
    optim_wrapper = sgd(model, accumulative_counts=2)
    optim_wrapper.initialize_count_status(model, 0, 4)
    moved = []
    for step in range(4):
        model.train_step(make_batch(seed=step), optim_wrapper)
        moved.append(int(model.backbone.momentum_blocks[0].updates))
    assert moved == [0, 1, 1, 2]


@pytest.mark.parametrize('policy', ['norms', 'expansions', 'blocks'])
def test_policies_train_the_same_network(policy):
    states = []
    for checkpoint in (False, policy):
        model = build(with_momentum({'learnable': True}, checkpoint=checkpoint))
        optim_wrapper = sgd(model)
        for step in range(2):
            model.train_step(make_batch(seed=step), optim_wrapper)
        states.append(dict(model.state_dict()))
    assert_same(*states)


def test_the_encoder_s_own_checkpointing_changes_no_gradient_and_no_average():
    """It would recompute in the backward pass, when the block has its own weights again."""
    found = []
    for with_cp in (False, True):
        model = build(with_momentum({'learnable': True}, encoder=encoder_config(with_cp=with_cp)))
        optim_wrapper = sgd(model)
        for step in range(2):
            model.train_step(make_batch(seed=step), optim_wrapper)
        found.append(dict(model.named_parameters()))
        found[-1] |= {k: v for k, v in model.named_buffers() if 'average' in k and k.endswith('.weight')}
    assert_same(found[1], found[0], **CLOSE)


def test_no_optimizer_holds_averages_and_trained_copies_it_does():
    for learnable, expected in ((False, set()), (True, {'bias'})):
        model = build(with_momentum({'learnable': learnable}))
        held = build_optim_wrapper(model, {'optimizer': {'type': 'SGD', 'lr': LR}}).optimizer.param_groups
        held = {id(p) for group in held for p in group['params']}
        assert held == {id(p) for p in model.parameters()}
        average = model.backbone.momentum_blocks[0].average
        assert not {id(t) for t in average.buffers()} & held
        assert list(average.parameters()) == []
        names = [n for n, _ in model.named_parameters() if 'momentum_blocks' in n]
        assert {name.split('.')[3] for name in names} == expected


def test_initialising_leaves_averages_to_the_first_step():
    model = build(with_momentum(), double=False)
    before = averages(model)
    model.init_weights()
    assert_same(averages(model), before)
    assert model.backbone.momentum_blocks[0].updates == 0


@pytest.mark.parametrize('mmengine', [False, True], ids=['torch', 'mmengine'])
def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path, mmengine):
    model = build(with_momentum({'learnable': True}))
    for step in range(2):
        model.train_step(make_batch(seed=step), sgd(model))
    other = build(with_momentum({'learnable': True}), seed=5)
    if mmengine:
        save_checkpoint({'state_dict': model.state_dict()}, str(tmp_path / 'iter_2.pth'))
        load_checkpoint(other, str(tmp_path / 'iter_2.pth'), strict=True)
    else:
        other.load_state_dict(deepcopy(model.state_dict()))
    for network in (model, other):
        network.train_step(make_batch(seed=2), sgd(network))
    assert_same(dict(other.state_dict()), dict(model.state_dict()))
    assert model.backbone.momentum_blocks[0].updates == 3


def test_copies_train_like_the_original():
    model = build(with_momentum({'learnable': True}))
    model.train_step(make_batch(), sgd(model))
    copies = [deepcopy(model), pickle.loads(pickle.dumps(model))]
    for network in (model, *copies):
        network.train_step(make_batch(seed=1), sgd(network))
    for copy in copies:
        assert_same(dict(copy.state_dict()), dict(model.state_dict()))


def test_averages_of_other_cuts_start_anew():
    trained = build(with_momentum({}, ('layer2.0', 'layer3.0')))
    for step in range(3):
        trained.train_step(make_batch(seed=step), sgd(trained))
    model = build(with_momentum(), seed=1)
    checkpoint = {'state_dict': dict(trained.state_dict())}
    renewed = fit_start(checkpoint, model.state_dict(), 'other_cuts.pth')
    assert any(key.startswith('backbone.momentum_blocks.1.') for key in renewed)
    model.load_state_dict(checkpoint['state_dict'], strict=False)
    started = [block._started for block in model.backbone.momentum_blocks]
    assert started == [True, False]  # the first cut is the same
    twin = deepcopy(model.backbone.encoder.layer4[0])
    model.train_step(make_batch(), sgd(model))
    after, weight = model.backbone.encoder.layer4[0].conv1.weight, averages(model)[1]['conv1.weight']
    assert_same(weight, MOMENTUM * twin.conv1.weight + (1 - MOMENTUM) * after, **CLOSE)


def test_without_what_trains_only_it_is_a_stock_network():
    model = build(with_momentum({'learnable': True}), double=False)
    stock = build(stock_config(model_config(CUTS)), seed=1, double=False)
    keys = list(model.state_dict())
    assert [key for key in keys if not key.startswith(LOCAL)] == list(stock.state_dict())
    assert any(key.startswith(LOCAL[1]) for key in keys)
    missing, unexpected = model.load_state_dict(stock.state_dict(), strict=False)
    assert unexpected == []
    assert all(key.startswith(LOCAL) for key in missing)
    checkpoint = {'state_dict': dict(model.state_dict())}
    assert fit_start({'state_dict': dict(stock.state_dict())}, model.state_dict(), 'stock.pth') == []
    drop_local_heads(model, checkpoint)
    require_fit(checkpoint['state_dict'], model.state_dict(), 'iter_1.pth')
    stock.load_state_dict(checkpoint['state_dict'], strict=True)


def test_reconstructions_read_through_the_average_and_its_statistics():
    model = build(with_momentum(), double=False)
    model.train_step(make_batch(), sgd(model))
    model.eval()
    backbone = model.backbone
    image = torch.randn(2, 3, 32, 64)
    block = deepcopy(backbone.encoder.layer4[0])
    block.load_state_dict(averages(model)[1])
    _, second = backbone.reconstructions(image, (24, 40))
    feature = block(backbone.encoder(image)[2])
    assert_same(second, backbone.local_heads[1].decoder(feature, (24, 40)).detach().sigmoid())


@pytest.mark.parametrize('option', [1.0, -0.1, 'fast', True, {'momentum': 2}, {'decay': 0.9}], ids=str)
def test_bad_options_are_refused_with_value_and_remedy(option):
    with pytest.raises(ConfigError) as caught:
        build(with_momentum(option))
    for word in (f'momentum_block={option!r}', 'from 0 to below 1', 'dict(momentum=0.995'):
        assert word in str(caught.value)
