"""Training with momentum blocks against the same training written out."""

from copy import deepcopy

import pytest
import torch

from infopro_seg.models.image import to_rgb
from tests.models.test_momentum_block import AFTER, CLOSE, LR, MOMENTUM, averages, sgd, with_momentum
from tests.stand_ins import assert_same, build, make_batch, preprocessed, summed


class ByHand:
    """The training of a twin in plain PyTorch: a frozen copy per cut, and one that is trained, or none."""

    def __init__(self, model, learnable=False):
        self.model, self.encoder = model, model.backbone.encoder
        blocks = [self.encoder.get_submodule(name) for name in AFTER]
        self.averages = [deepcopy(block).requires_grad_(False) for block in blocks]
        self.biases = [deepcopy(block) for block in blocks] if learnable else []
        own = [*self.encoder.parameters(), *model.backbone.local_heads.parameters()]
        own += [*model.decode_head.parameters(), *model.auxiliary_head.parameters()]
        self.parameters = own + [p for bias in self.biases for p in bias.parameters()]

    def read(self, index, state):
        feature = deepcopy(self.averages[index])(state)  # whose statistics move, and are forgotten
        return feature + self.biases[index](state) if self.biases else feature

    def losses(self, batch):
        inputs, samples = preprocessed(self.model, batch)
        image = to_rgb(inputs, self.model.data_preprocessor)
        encoder, (first, second) = self.encoder, self.model.backbone.local_heads
        state = encoder.layer1(encoder.maxpool(encoder.stem(inputs)))
        state = encoder.layer2[0](state)
        loss = summed(first.loss(self.read(0, state), image, samples))
        state = encoder.layer3(encoder.layer2[1](state.detach()))
        loss = loss + summed(second.loss(self.read(1, state), image, samples))
        state = state.detach()
        outputs = [None, None, state, encoder.layer4(state)]
        for head in (self.model.decode_head, self.model.auxiliary_head):
            loss = loss + summed(head.loss(outputs, samples, {}))
        return loss

    @torch.no_grad()
    def step(self, gradients):
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter -= LR * gradient
        for average, name in zip(self.averages, AFTER, strict=True):
            source = self.encoder.get_submodule(name).state_dict()
            for key, value in average.state_dict().items():
                whole = not value.is_floating_point()
                value.copy_(source[key] if whole else MOMENTUM * value + (1 - MOMENTUM) * source[key])

    def train(self, batch):
        self.step(torch.autograd.grad(self.losses(batch), self.parameters))


@pytest.mark.parametrize('learnable', [False, True])
def test_training_and_averages_equal_those_by_hand(learnable):
    """Weights, statistics of norms, averages and trained copies, over three steps."""
    model = build(with_momentum({'momentum': MOMENTUM, 'learnable': learnable}))
    twin = ByHand(deepcopy(model), learnable)
    optim_wrapper = sgd(model)
    for step in range(3):
        model.train_step(make_batch(seed=step), optim_wrapper)
        twin.train(make_batch(seed=step))
        for found, expected in zip(averages(model), twin.averages, strict=True):
            assert_same(found, dict(expected.state_dict()), **CLOSE)
        for block, bias, name in zip(model.backbone.momentum_blocks, twin.biases, AFTER, strict=False):
            assert_same(dict(block.bias.get_submodule(name).state_dict()), dict(bias.state_dict()), **CLOSE)
    for part in ('backbone.encoder', 'backbone.local_heads', 'decode_head', 'auxiliary_head'):
        found, expected = (m.get_submodule(part).state_dict() for m in (model, twin.model))
        assert_same(dict(found), dict(expected), **CLOSE)


def test_gradients_of_one_step_equal_those_by_hand_bit_for_bit():
    model = build(with_momentum({'learnable': True}))
    twin = ByHand(deepcopy(model), learnable=True)
    for losses in model.local_losses(*preprocessed(model, make_batch())):
        summed(losses).backward()
    expected = torch.autograd.grad(twin.losses(make_batch()), twin.parameters)
    own = [*model.backbone.encoder.parameters(), *model.backbone.local_heads.parameters()]
    own += [*model.decode_head.parameters(), *model.auxiliary_head.parameters()]
    own += model.backbone.momentum_blocks.parameters()
    assert len(own) == len(list(model.parameters()))
    assert_same([p.grad for p in own], list(expected))


def test_averages_start_from_the_weights_of_the_first_step_not_of_the_building():
    model = build(with_momentum())
    with torch.no_grad():
        for parameter in model.backbone.encoder.parameters():  # as pretrained weights would
            parameter.mul_(1.5)
    twin = ByHand(deepcopy(model))
    model.train_step(make_batch(), sgd(model))
    twin.train(make_batch())
    for found, expected in zip(averages(model), twin.averages, strict=True):
        assert_same(found, dict(expected.state_dict()), **CLOSE)
