"""The local modules of the tiny classifier, run by plain calls of the layers of its encoder."""

from copy import deepcopy

import torch

from infopro_seg.models.image import to_rgb
from tests.classification.tiny import CUTS, make_batch
from tests.stand_ins import preprocessed, summed

STEPS = ('stem', 'layer1.0', 'layer2.0', 'layer3.0')


def steps_of(modules):
    """The names of the steps of each local module."""
    found = [[]]
    for name in STEPS:
        found[-1].append(name)
        if name in CUTS[modules]:
            found.append([])
    return found


def run(encoder, names, state):
    for name in names:
        if name == 'stem':
            state = encoder.bn1(encoder.conv1(state)).relu()
        else:
            state = encoder.get_submodule(name)(state)
    return state


class ByHand:
    """A classifier whose losses are written out.

    Args:
        model: the classifier.
        modules: number of its local modules.
        overlap: number of steps of the next module that a local head reads through.
        averages: in place of the steps after the cuts, what local heads read through.
        half: whether forward passes run in bf16 autocast.
    """

    def __init__(self, model, modules, overlap=0, averages=(), half=False):
        self.model, self.steps = model, steps_of(modules)
        self.overlap, self.averages = overlap, averages
        self.half = half
        self.copies = []

    def read(self, index, state):
        if self.averages:
            return deepcopy(self.averages[index])(state)  # whose statistics move, and are forgotten
        for name in self.steps[index + 1][: self.overlap]:
            copy = deepcopy(self.model.backbone.encoder.get_submodule(name))
            copy.zero_grad()
            self.copies.append((name, copy))
            state = copy(state)
        return state

    def module(self, index, state, image, samples):
        """The state after a local module, and its loss."""
        with torch.autocast('cpu', torch.bfloat16, enabled=self.half):
            state = run(self.model.backbone.encoder, self.steps[index], state)
            if index == len(self.steps) - 1:
                return state, summed(self.model.head.loss(self.model.neck((state,)), samples))
            head = self.model.backbone.local_heads[index]
            return state, summed(head.loss(self.read(index, state), image, samples))

    def given(self, batch):
        inputs, samples = preprocessed(self.model, batch)
        return inputs, to_rgb(inputs, self.model.data_preprocessor), samples

    def backward(self, batch):
        """Adds the gradients of all modules; returns the losses."""
        state, image, samples = self.given(batch)
        losses = []
        for index in range(len(self.steps)):
            state, loss = self.module(index, state.detach(), image, samples)
            loss.backward()
            losses.append(loss.detach())
        for name, copy in self.copies:
            block = self.model.backbone.encoder.get_submodule(name)
            for own, other in zip(block.parameters(), copy.parameters(), strict=True):
                own.grad = own.grad + other.grad
        self.copies = []
        return losses

    def backward_of_stage(self, stage, batch):
        """Adds the gradients of a module on the frozen outputs of those before; returns its loss."""
        state, image, samples = self.given(batch)
        self.model.eval()
        with torch.no_grad():
            for names in self.steps[:stage]:
                state = run(self.model.backbone.encoder, names, state)
        assert (state[0] != state[1]).any()
        self.model.train()
        _, loss = self.module(stage, state, image, samples)
        loss.backward()
        return loss.detach()


@torch.no_grad()
def settle(model):
    """Gives the norms of the encoder the statistics of a batch, with which frozen modules stay alive."""
    norms = [
        module for module in model.backbone.encoder.modules() if isinstance(module, torch.nn.BatchNorm2d)
    ]
    for norm in norms:
        norm.reset_running_stats()
        norm.train().momentum = None
    run(model.backbone.encoder, STEPS, preprocessed(model, make_batch(seed=99))[0])
    for norm in norms:
        norm.momentum = 0.1
    return model.train()
