"""The transport penalty of the trials on CamVid: its gradients are those of the written-out penalty."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import HOOKS
from torch import nn

from tests.docs.benchmark_modules import CAMVID, imported


class Block(nn.Module):
    def __init__(self, has_skip):
        super().__init__()
        self.has_skip = has_skip
        self.conv = nn.Conv2d(3, 3, 1).double()

    def forward(self, x):
        return x + self.conv(x)


@pytest.fixture
def hook(monkeypatch):
    module = imported(monkeypatch, CAMVID / 'transport', 'transport_penalty', HOOKS, 'TransportPenaltyHook')
    return module.TransportPenaltyHook


def gradients(network, loss):
    return torch.autograd.grad(loss, list(network.parameters()))


def test_gradients_are_those_of_the_loss_with_the_penalty(hook):
    network = nn.Sequential(Block(has_skip=True), Block(has_skip=False), Block(has_skip=True))
    image = torch.randn(2, 3, 4, 5, dtype=torch.double)
    first = network[0](image)
    second = network[1](first)
    third = network[2](second)
    penalty = sum((b - a).square().sum(1).mean() for a, b in ((image, first), (second, third)))
    expected = gradients(network, third.sin().mean() + 0.3 * penalty)

    runner = SimpleNamespace(model=network, logger=SimpleNamespace(info=lambda text: None))
    hook(weight=0.3).before_train(runner)
    torch.testing.assert_close(gradients(network, network(image).sin().mean()), expected)


def test_a_network_without_shortcuts_is_an_error(hook):
    runner = SimpleNamespace(model=nn.Sequential(Block(has_skip=False)))
    with pytest.raises(ValueError, match='has a shortcut'):
        hook(weight=0.3).before_train(runner)
