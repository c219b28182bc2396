"""Faults in and around a recomputation: what is refused, and that nothing is left behind."""

from __future__ import annotations

import gc
import weakref
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn

from infopro_seg.models.recomputation.recompute import recompute
from infopro_seg.models.recomputation.saved_tensors import run_recomputed
from infopro_seg.models.recomputation.selective import is_watched


def test_an_input_that_changed_is_refused():
    x = torch.randn(5, 6)
    loss = run_recomputed(
        nn.Sequential(nn.Linear(6, 6), nn.Sigmoid()), (x,), nullcontext(), nullcontext()
    ).sum()
    x.mul_(2)
    with pytest.raises(RuntimeError, match='an input of a recomputed part was changed in place'):
        loss.backward()


def test_a_part_that_does_something_else_is_refused():
    depth = [2]

    def part(x: torch.Tensor) -> torch.Tensor:
        for _ in range(depth[0]):
            x = x.tanh()
        return x

    loss = run_recomputed(part, (torch.ones(2, requires_grad=True),), nullcontext(), nullcontext()).sum()
    depth[0] = 1
    with pytest.raises(RuntimeError, match='the recomputation saved 1 tensors, the forward pass 2'):
        loss.backward()


@pytest.mark.parametrize('policy', ['norms', 'blocks'])
@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
def test_a_fault_in_the_recomputation_leaves_nothing_behind(policy, error):
    layer, norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
    held: list[Any] = []

    def part(x: torch.Tensor) -> torch.Tensor:
        hidden = norm(layer(x)).sigmoid()
        held.append(weakref.ref(hidden))
        if len(held) == 2:
            raise error
        return hidden.tanh()

    buffers = dict(norm._buffers)
    random = torch.get_rng_state()
    gc.collect()
    gc.disable()
    try:
        loss = recompute(policy, part, [layer, norm], torch.ones(1, 2, 3, 3)).sum()
        with pytest.raises(error):
            loss.backward()
        del loss
        assert [reference() for reference in held] == [None, None]
    finally:
        gc.enable()
    assert all(norm._buffers[name] is buffer for name, buffer in buffers.items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not is_watched()
