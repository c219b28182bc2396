from contextlib import contextmanager
from copy import deepcopy

import pytest
import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.runner import autocast
from torch import nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.train_step import local_train_step, require_gradients
from tests.models.plain_network import DECAY, LR, MOMENTUM, PlainNetwork
from tests.stand_ins import (
    CUTS,
    assert_same,
    build,
    gradients,
    local_head_config,
    make_batch,
    model_config,
    preprocessed,
    summed,
)

CLOSE = {'rtol': 1e-9, 'atol': 1e-11}


def sgd(model, wrapper=OptimWrapper, **kwargs):
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY)
    return wrapper(optimizer=optimizer, **kwargs)


def merged_train_step(model, batch, optim_wrapper):
    """The stock train step on the merged losses: what `local_train_step` must equal."""
    with optim_wrapper.optim_context(model):
        losses = model.loss(*preprocessed(model, batch))
    optim_wrapper.update_params(model.parse_losses(losses)[0])


def test_training_equals_the_paper_s_loss_in_plain_pytorch():
    model = build(model_config(CUTS, local_head=local_head_config((1.5, 0.5), (0.8, 0.2))))
    plain = PlainNetwork(model.state_dict())
    start = deepcopy(dict(model.state_dict()))
    optim_wrapper = sgd(model)
    for step in range(3):
        batch = make_batch(seed=step)
        expected = plain.train_step(batch)
        logs = model.train_step(batch, optim_wrapper)
        assert_same(logs['loss'], sum(expected), **CLOSE)
        for index, prefixes in enumerate([('local_0',), ('local_1',), ('decode', 'aux')]):
            own = {key: value for key, value in logs.items() if key.startswith(prefixes)}
            assert_same(summed(own), expected[index], **CLOSE)
    trained = {key: value.detach() for key, value in plain.state.items()}
    assert_same(dict(model.state_dict()), trained, **CLOSE)
    assert all((trained[key] != start[key]).any() for key in trained)


@pytest.mark.parametrize('wrapper', [OptimWrapper, AmpOptimWrapper])
@pytest.mark.parametrize(
    'options',
    [{}, {'clip_grad': {'max_norm': 0.1}}, {'clip_grad': {'type': 'value', 'clip_value': 0.01}}],
    ids=['plain', 'clip norm', 'clip value'],
)
@pytest.mark.parametrize(('accumulative_counts', 'iterations'), [(1, 2), (3, 4)], ids=['each', 'accumulate'])
def test_the_step_equals_the_stock_step_on_the_merged_losses(
    wrapper, options, accumulative_counts, iterations, amp_on_a_cpu
):
    """Accumulation runs into a remainder: four iterations are one step of three and one of one."""
    model = build(model_config(CUTS))
    twin = deepcopy(model)
    ours = sgd(model, wrapper, accumulative_counts=accumulative_counts, **deepcopy(options))
    # the oracle needs no loss scaling: it changes no gradient
    theirs = sgd(twin, accumulative_counts=accumulative_counts, **deepcopy(options))
    for optim_wrapper, network in ((ours, model), (theirs, twin)):
        optim_wrapper.initialize_count_status(network, 0, iterations)
    for step in range(iterations):
        batch = make_batch(seed=step)
        local_train_step(model, batch, ours)
        merged_train_step(twin, batch, theirs)
        assert ours.inner_count == theirs.inner_count == step + 1
        assert_same(dict(model.state_dict()), dict(twin.state_dict()), **CLOSE)
        if wrapper is OptimWrapper:
            assert_same(gradients(model), gradients(twin), **CLOSE)


def test_clipping_sees_the_gradients_of_all_modules_at_once():
    model = build(model_config(CUTS))
    twin = deepcopy(model)
    summed(twin.loss(*preprocessed(twin, make_batch()))).backward()
    norm = torch.cat([p.grad.flatten() for p in twin.parameters()]).norm()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    local_train_step(model, make_batch(), OptimWrapper(optimizer, clip_grad={'max_norm': 0.5 * float(norm)}))
    moved = [
        old.detach() - new.detach() for old, new in zip(twin.parameters(), model.parameters(), strict=True)
    ]
    torch.testing.assert_close(torch.cat([m.flatten() for m in moved]).norm(), 0.5 * norm, rtol=1e-5, atol=0)


@pytest.mark.parametrize(('accumulative_counts', 'updates'), [(1, [1, 2, 3, 4]), (3, [0, 0, 1, 2])])
def test_an_iteration_counts_once_and_steps_at_most_once(accumulative_counts, updates):
    calls = []

    class Recording(OptimWrapper):
        def step(self):
            calls.append('step')
            super().step()

        def zero_grad(self):
            calls.append('zero_grad')
            super().zero_grad()

        def backward(self, loss):
            calls.append('backward')
            super().backward(loss)

    model = build(model_config(CUTS), double=False)
    optim_wrapper = sgd(model, Recording, accumulative_counts=accumulative_counts)
    optim_wrapper.initialize_count_status(model, 0, 4)
    expected = []
    for iteration, steps in enumerate(updates, start=1):
        local_train_step(model, make_batch(), optim_wrapper)
        expected += ['backward'] * 3
        expected += ['step', 'zero_grad'] * (steps - expected.count('step'))
        assert optim_wrapper.inner_count == iteration
        assert calls == expected


def test_logs_are_all_losses_detached_with_their_sum_first():
    model = build(model_config(CUTS))
    expected = deepcopy(model).loss(*preprocessed(model, make_batch()))
    logs = local_train_step(model, make_batch(), sgd(model))
    assert list(logs) == ['loss', *expected]
    assert not any(value.requires_grad for value in logs.values())
    total = logs.pop('loss')
    assert_same(total, summed(expected).detach(), **CLOSE)
    assert_same(logs, {key: value.detach().mean() for key, value in expected.items()}, **CLOSE)


@pytest.mark.parametrize('accumulative_counts', [1, 2])
def test_a_parameter_that_no_loss_reaches_is_named_before_the_first_step(accumulative_counts):
    model = build(model_config(CUTS), double=False)
    model.backbone.encoder.layer3.forgotten = nn.Parameter(torch.zeros(1))
    model.decode_head.frozen = nn.Parameter(torch.zeros(1), requires_grad=False)
    start = deepcopy(dict(model.named_parameters()))
    optim_wrapper = sgd(model, accumulative_counts=accumulative_counts)
    for _ in range(accumulative_counts - 1):
        local_train_step(model, make_batch(), optim_wrapper)
    with pytest.raises(ConfigError) as caught:
        local_train_step(model, make_batch(), optim_wrapper)
    for word in ('1 trainable', 'layer3.forgotten', 'no gradient', 'freeze', 'requires_grad=False', 'cut'):
        assert word in str(caught.value)
    assert 'frozen' not in str(caught.value)
    assert_same(dict(model.named_parameters()), start)


def test_many_parameters_without_a_gradient_are_counted_and_the_first_named():
    with pytest.raises(ConfigError, match=r'^10 trainable .*: 0\.weight, 0\.bias, .*3\.bias, \.\.\.;'):
        require_gradients(nn.Sequential(*(nn.Linear(1, 1) for _ in range(5))))


class Bfloat16(OptimWrapper):
    """Mixed precision on a CPU, where mmengine's AmpOptimWrapper refuses to work."""

    @contextmanager
    def optim_context(self, model):
        with super().optim_context(model), autocast(device_type='cpu', dtype=torch.bfloat16):
            yield


def test_mixed_precision_is_on_in_every_module_s_forward_and_off_in_backward():
    model = build(model_config(CUTS), double=False)
    exact = deepcopy(model)
    dtypes, in_backward = [], []
    for name in ('stem', 'layer3.0', 'layer4.0'):
        conv = next(
            m for m in model.backbone.encoder.get_submodule(name).modules() if isinstance(m, nn.Conv2d)
        )
        conv.register_forward_hook(lambda module, inputs, output: dtypes.append(output.dtype))
        conv.weight.register_hook(lambda grad: in_backward.append(torch.is_autocast_enabled('cpu')))
    logs = local_train_step(model, make_batch(), sgd(model, Bfloat16))
    assert dtypes == [torch.bfloat16] * 3
    assert in_backward == [False] * 3
    assert all(torch.isfinite(value).all() for value in logs.values())
    expected = local_train_step(exact, make_batch(), sgd(exact))
    torch.testing.assert_close(logs['loss'], expected['loss'], rtol=0.02, atol=0)
    assert_same(dict(model.named_parameters()), dict(exact.named_parameters()), rtol=0.1, atol=0.02)
