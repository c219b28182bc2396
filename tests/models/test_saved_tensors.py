"""Parts that save nothing, against `torch.utils.checkpoint`."""

from __future__ import annotations

import gc
import threading
import weakref
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from infopro_seg.models import Block
from infopro_seg.models.compiled import compile_options, compiled_blocks
from infopro_seg.models.recomputation.recompute import recompute
from infopro_seg.models.recomputation.saved_tensors import run_recomputed


class Part(nn.Module):
    """Saved outputs, saved inputs, a norm, random numbers, and an operation at the end that saves nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.norm = nn.LayerNorm(8)
        self.last = nn.Linear(8, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = F.dropout(torch.sigmoid(self.norm(self.first(x))), 0.4)
        return x + self.last(hidden)


def ours(part: nn.Module, x: torch.Tensor) -> Any:
    return run_recomputed(part, (x,), nullcontext(), nullcontext())


def theirs(part: nn.Module, x: torch.Tensor) -> Any:
    return checkpoint(part, x, use_reentrant=False)


def plain(part: nn.Module, x: torch.Tensor) -> Any:
    return part(x)


def gradients(run: Any, half: bool = False) -> list[torch.Tensor]:
    torch.manual_seed(0)
    part = Part()
    x = torch.randn(5, 6, requires_grad=True)
    with torch.autocast('cpu', enabled=half):
        middle = run(part, x)
        loss = run(part, middle).square().sum()
    torch.rand(3)  # the backward pass begins with other random numbers
    found = torch.autograd.grad(loss, [x, *part.parameters()])
    return [*found, torch.rand(3)]


@pytest.mark.parametrize('half', [False, True])
def test_gradients_and_random_numbers_are_those_of_torch(half):
    expected = gradients(plain, half)
    for run in (theirs, ours):
        torch.testing.assert_close(gradients(run, half), expected, rtol=0, atol=0)


def test_recomputes_as_much_as_torch():
    counts = []
    for run in (theirs, ours, plain):
        part, x = Part(), torch.randn(5, 6)
        with FlopCounterMode(display=False) as counter:
            run(part, x).sum().backward()
        counts.append(counter.get_total_flops())
    first = 2 * 5 * 6 * 8  # the second matrix product is not needed again
    assert counts == [counts[2] + first, counts[2] + first, counts[2]]


@pytest.mark.parametrize('policy', ['norms', 'blocks'])
def test_nothing_stays_alive_after_the_backward_pass(policy):
    part = nn.Sequential(nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1))
    gc.collect()
    gc.disable()
    try:
        x = torch.randn(2, 2, 4, 4)
        held = [weakref.ref(x)]
        part[2].register_forward_hook(lambda *found: held.append(weakref.ref(found[-1])))
        recompute(policy, part, [part], x).sum().backward()
        del x
        assert len(held) == 3
        assert [reference() for reference in held] == [None] * 3
    finally:
        gc.enable()


def test_a_part_that_stores_a_tensor_holds_no_other():
    """`torch.nn.utils.spectral_norm` stores the weight that it has computed, with its graph."""
    scale, stored = nn.Parameter(torch.ones(3)), {}

    def part(x: torch.Tensor) -> torch.Tensor:
        stored['weight'] = scale.square()
        return (x * stored['weight']).sigmoid()

    x = torch.ones(3)
    held = weakref.ref(x)
    run_recomputed(part, (x,), nullcontext(), nullcontext()).sum().backward()
    del x
    assert held() is None


def test_saved_tensors_are_freed_one_by_one():
    """As in a plain backward pass, what the later operations saved is gone when the earlier ones run."""
    part = nn.Sequential(nn.Tanh(), nn.Tanh())
    held: list[Any] = []
    alive: list[int] = []
    part[1].register_forward_hook(lambda _, __, output: held.append(weakref.ref(output)))

    class Probe(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            alive.append(sum(reference() is not None for reference in held))
            return gradient

    x = torch.randn(3, requires_grad=True)
    output = run_recomputed(lambda x: part[1](Probe.apply(part[0](x))), (x,), nullcontext(), nullcontext())
    loss = output.sum()
    del output
    loss.backward()
    assert alive == [0]


def test_a_part_may_catch_exceptions():
    """The recomputation ends at its last saved tensor, and nobody takes that for a fault."""
    layer = nn.Linear(3, 3)

    def part(x: torch.Tensor) -> torch.Tensor:
        hidden = layer(x)
        try:
            return hidden.sigmoid()
        except Exception:
            return hidden.tanh()

    x = torch.randn(2, 3)
    [expected] = torch.autograd.grad(part(x).sum(), layer.weight)
    output = run_recomputed(part, (x,), nullcontext(), nullcontext())
    torch.testing.assert_close(torch.autograd.grad(output.sum(), layer.weight)[0], expected, rtol=0, atol=0)


def test_a_part_may_put_its_results_into_a_list_of_inputs():
    layer = nn.Linear(3, 3)

    def part(state: list[torch.Tensor]) -> torch.Tensor:
        state[0] = layer(state[0]).sigmoid()
        return state[0]

    x = torch.randn(2, 3)
    [expected] = torch.autograd.grad(part([x]).sum(), layer.weight)
    output = run_recomputed(part, ([x],), nullcontext(), nullcontext())
    torch.testing.assert_close(torch.autograd.grad(output.sum(), layer.weight)[0], expected, rtol=0, atol=0)


def test_makes_new_tensors_on_the_same_device():
    devices = []

    def part(x: torch.Tensor) -> torch.Tensor:
        devices.append(torch.empty(1).device.type)
        return x.sigmoid()

    with torch.device('meta'):
        output = run_recomputed(part, (torch.ones(2, requires_grad=True),), nullcontext(), nullcontext())
    output.sum().backward()
    assert devices == ['meta', 'meta']


@pytest.mark.parametrize('during', [torch.bfloat16, torch.float16, None])
def test_another_thread_recomputes_with_the_same_precision(during):
    """The threads of a GPU's backward passes have precisions of their own."""
    layer, x, types = nn.Linear(3, 3), torch.ones(2, 3), []

    def part(x: torch.Tensor) -> torch.Tensor:
        hidden = layer(x)
        types.append(hidden.dtype)
        return hidden.sigmoid()

    with torch.autocast('cpu', dtype=torch.float16):
        loss = run_recomputed(part, (x,), nullcontext(), nullcontext()).sum()

    def backward() -> None:
        with torch.autocast('cpu', dtype=during, enabled=during is not None):
            loss.backward()

    thread = threading.Thread(target=backward)
    thread.start()
    thread.join()
    assert types == [torch.float16, torch.float16]


def test_a_block_in_several_graphs_compiles_nothing_for_each_saved_tensor():
    torch._dynamo.reset()
    layer = nn.Linear(3, 3)

    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            torch._dynamo.graph_break()
            ctx.save_for_backward(x, x * 2)
            return x.square()

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            return gradient * ctx.saved_tensors[1]

    def forward(x: torch.Tensor) -> torch.Tensor:
        return Broken.apply(layer(x)).sigmoid()

    options = compile_options({'backend': 'eager', 'fullgraph': False})
    [block] = compiled_blocks([Block('stem', (), forward)], options)
    graphs = []
    for policy in ('none', 'blocks'):
        torch._dynamo.reset()
        torch._dynamo.utils.counters.clear()
        recompute(policy, block.forward, (), torch.ones(2, 3)).sum().backward()
        graphs.append(torch._dynamo.utils.counters['stats']['unique_graphs'])
    assert graphs[0] == graphs[1] > 0
