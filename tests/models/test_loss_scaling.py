"""mmengine's own `AmpOptimWrapper` and torch's loss scaling over the backward passes of a train step."""

from copy import deepcopy

import pytest
import torch
from mmengine.optim import AmpOptimWrapper

from infopro_seg.models.train_step import local_train_step
from tests.stand_ins import CUTS, assert_same, build, make_batch, model_config, preprocessed, summed

LR, MOMENTUM, NORM = 0.05, 0.9, 0.1
CLOSE = {'rtol': 1e-9, 'atol': 1e-11}
INSIDE = ('stem.0', 'layer3.0.conv1', 'layer4.0.conv1')  # a layer of each local module


class PlainTraining:
    """What a step is: the gradients of the summed losses, their mean, clipped by norm, with momentum."""

    def __init__(self, model):
        self.model = model
        self.gradients = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
        self.velocity = deepcopy(self.gradients)

    def add(self, batch, counts):
        parameters = dict(self.model.named_parameters())
        loss = summed(self.model.loss(*preprocessed(self.model, batch))) / counts
        for name, gradient in zip(
            parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True
        ):
            self.gradients[name] += gradient

    def step(self):
        norm = torch.stack([gradient.square().sum() for gradient in self.gradients.values()]).sum().sqrt()
        assert norm > NORM
        for name, parameter in self.model.named_parameters():
            self.velocity[name].mul_(MOMENTUM).add_(self.gradients[name] * NORM / (norm + 1e-6))
            parameter.data -= LR * self.velocity[name]

    def drop(self):
        for gradient in self.gradients.values():
            gradient.zero_()


@pytest.mark.parametrize('module', range(3))
@pytest.mark.parametrize('counts', [1, 2])
def test_a_step_with_an_infinite_gradient_in_any_module_is_skipped_whole(module, counts, amp_on_a_cpu):
    """Steps 0 and 2 are taken, step 1 is skipped; clipping sees gradients without their scale."""
    model = build(model_config(CUTS))
    plain = PlainTraining(deepcopy(model))
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    wrapper = AmpOptimWrapper(
        loss_scale={'init_scale': 2.0**10, 'growth_interval': 1},
        optimizer=optimizer,
        clip_grad={'max_norm': NORM},
        accumulative_counts=counts,
    )
    wrapper.initialize_count_status(model, 0, 3 * counts)
    overflow = False
    layer = model.backbone.encoder.get_submodule(INSIDE[module])
    layer.weight.register_hook(lambda grad: grad * torch.inf if overflow else grad)
    scales = []
    for step in range(3):
        for part in range(counts):
            overflow = step == 1 and part == 0
            batch = make_batch(seed=step * counts + part)
            logs = local_train_step(model, batch, wrapper)
            assert all(value.isfinite().all() for value in logs.values())
            assert wrapper.inner_count == step * counts + part + 1
            plain.add(batch, counts)
        if step != 1:
            plain.step()
        plain.drop()
        assert_same(dict(model.state_dict()), dict(plain.model.state_dict()), **CLOSE)
        assert all(p.grad is None or not p.grad.any() for p in model.parameters())
        scales.append(wrapper.loss_scaler.get_scale())
    assert scales == [2.0**11, 2.0**10, 2.0**11]  # updated once a step, not once a backward pass
