"""Finished modules of a stage are lent from pinned memory, without waiting and without counters."""

import torch
from torch import nn

from infopro_seg.models.asynchronous.turns import lent, pin


def block():
    return nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)).eval()


def test_tensors_are_pinned_in_place_and_once(monkeypatch):
    pinned = set()

    def pin_memory(tensor):
        copy = tensor.detach().clone()
        pinned.add(copy.data_ptr())
        return copy

    monkeypatch.setattr(torch.Tensor, 'pin_memory', pin_memory)
    monkeypatch.setattr(torch.Tensor, 'is_pinned', lambda tensor: tensor.data_ptr() in pinned)
    module = block()
    parameters, values = list(module.parameters()), [p.detach().clone() for p in module.parameters()]
    for _ in range(2):
        pin(module.modules())
    assert len(pinned) == 6  # weights and biases, running mean and variance, but no counter
    assert all(before is after for before, after in zip(parameters, module.parameters(), strict=True))
    assert all(torch.equal(p, value) for p, value in zip(parameters, values, strict=True))
    assert all(p.is_pinned() for p in parameters)
    assert not module[1].num_batches_tracked.is_pinned()


def test_copies_do_not_block_and_leave_counters_out(monkeypatch):
    flags = []
    real = torch.Tensor.to

    def to(tensor, *args, **kwargs):
        flags.append(kwargs.get('non_blocking'))
        return real(tensor, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, 'to', to)
    module = block()
    with lent(torch.device('meta'), module):
        assert module[1].running_mean.is_meta
        assert not module[1].num_batches_tracked.is_meta
    assert flags == [True] * 6


def test_counters_are_lent_to_norms_in_training():
    module = block().train()
    with lent(torch.device('meta'), module):
        module(torch.empty(1, 2, 4, 4, device='meta'))
        assert module[1].num_batches_tracked.is_meta
    assert module[1].num_batches_tracked == 0
