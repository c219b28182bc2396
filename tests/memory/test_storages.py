"""The tracker of storages against byte counts by hand, and against what autograd really saves."""

import gc

import pytest
import torch
from mmseg.registry import MODELS
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from infopro_seg.memory.tracing.storages import StorageTracker
from infopro_seg.models.asynchronous.turns import lent
from tests.stand_ins import SIZE, build, encoder_config, model_config

FLOAT = 4


@pytest.fixture
def tracker():
    with FakeTensorMode(), StorageTracker(granularity=1) as tracker:
        yield tracker


def test_counts_storages_from_their_making_to_their_end(tracker):
    first = torch.empty(10, 10)
    view = first.view(100)[:50]
    second = first + 1
    assert tracker.live == 800
    del first, second
    assert tracker.live == 400  # kept by the view
    del view
    assert tracker.live == 0
    assert tracker.peak == 800


def test_rounds_up_to_the_allocators_granularity():
    with FakeTensorMode(), StorageTracker() as tracker:
        kept = torch.empty(1), torch.empty(129)
        assert tracker.live == 512 + 1024
    del kept


def test_toy_step_by_hand(tracker):
    """x @ W, ReLU, sum: what is alive after the forward and at the peak of the backward."""
    batch, width = 8, 16
    layer = nn.Linear(width, width, bias=False)
    x = torch.empty(batch, width)
    before = tracker.live
    assert before == FLOAT * (width * width + batch * width)
    loss = torch.relu(layer(x)).sum()
    activation = FLOAT * batch * width
    assert tracker.live == before + activation + FLOAT  # ReLU's result; the product went; the sum
    phase = tracker.begin('backward')
    loss.backward()
    # ReLU's gradient (that of the sum is expanded from a scalar) is alive while W's is formed; ReLU's
    # result has gone by then
    assert phase.peak == before + activation + 2 * FLOAT + FLOAT * width * width
    assert phase.flops == 2 * batch * width * width
    del loss
    assert tracker.live == before + FLOAT * width * width


def test_gradients_of_a_shared_tensor_add_up_in_place(tracker):
    x = torch.empty(100, requires_grad=True)
    shared = x * 2
    loss = (shared * torch.empty(100)).sum() + (shared * torch.empty(100)).sum()
    del shared
    phase = tracker.begin('backward')
    loss.backward()
    # the two factors go with their nodes: at most both gradients and one factor are alive beside x
    assert phase.peak <= phase.start + 2 * 100 * FLOAT
    assert tracker.live == (100 + 100) * FLOAT + loss.untyped_storage().nbytes()


def test_pauses_for_what_lives_elsewhere(tracker):
    with tracker.paused():
        kept = torch.empty(100)
    assert tracker.live == 0
    del kept
    assert tracker.live == 0


def test_saved_bytes_equal_those_of_a_real_run():
    """All that a fake forward keeps is what autograd saves in a real one on the CPU."""
    model = build(model_config(()), double=False).backbone.encoder
    owned = {t.untyped_storage().data_ptr() for t in [*model.parameters(), *model.buffers()]}
    x = torch.randn(2, 3, *SIZE)
    owned.add(x.untyped_storage().data_ptr())
    saved = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in owned:
            saved[storage.data_ptr()] = tensor, storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(x)[-1].sum()
    with FakeTensorMode(), StorageTracker(granularity=1) as tracker:
        fake = build_encoder()
        image = torch.empty(2, 3, *SIZE)
        before = tracker.live
        loss = fake(image)[-1].sum()
        gc.collect()
        assert tracker.live - before - FLOAT == sum(size for _, size in saved.values())
    del loss


def build_encoder():
    return MODELS.build(encoder_config())


def test_a_lent_block_counts_while_it_runs(tracker):
    module = nn.Conv2d(4, 8, 3)
    owned = sum(p.numel() * FLOAT for p in module.parameters())
    for name, parameter in list(module.named_parameters()):
        module._parameters[name] = nn.Parameter(parameter.detach().to('meta'), requires_grad=False)
        del parameter
    assert tracker.live == 0
    with lent(torch.device('cpu'), module):
        assert tracker.live == owned
    assert tracker.live == 0
