"""What a process holds: every parameter that is alive in it, and every tensor of a foreign shape."""

from __future__ import annotations

import gc
import json
import weakref

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from infopro_seg.training.module_parallel.share import slots_of

_before: list[weakref.ref] = []


def tensors():
    """The tensors with memory that are alive, but for those that were there at :func:`begin`."""
    known = {id(reference()) for reference in _before}
    gc.collect()
    found = [obj for obj in gc.get_objects() if issubclass(type(obj), torch.Tensor)]
    return [tensor for tensor in found if id(tensor) not in known and not tensor.is_meta]


def begin():
    """Notes what a process has from the one that it was forked from."""
    _before[:] = []
    _before[:] = [weakref.ref(tensor) for tensor in tensors()]


@HOOKS.register_module()
class HeldHook(Hook):
    """Writes what a process holds besides its own module, in training, in validation and after it.

    Args:
        folder: where; a file per rank.
    """

    priority = 'LOWEST'

    def __init__(self, folder):
        self.folder = folder
        self.found = {}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if 'training' not in self.found:
            self._note(runner, 'training')

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if batch_idx == 1:
            self._note(runner, 'validation')

    def after_train(self, runner):
        self._note(runner, 'the end')
        path = f'{self.folder}/held_{runner.rank}.json'
        with open(path, 'w') as file:
            json.dump(self.found, file)

    def _note(self, runner, when):
        model, place = runner.model.module, runner.model.placement
        slots = slots_of(model)
        averages = [hook.ema_model.module for hook in runner.hooks if hasattr(hook, 'ema_model')]
        mine = {id(parameter) for one in (model, *averages) for parameter in one.parameters()}
        own = {tuple(slot.tensor.shape) for slot in slots if slot.module in (None, place.module)}
        foreign = {tuple(slot.tensor.shape) for slot in slots} - own
        foreign = {shape for shape in foreign if len(shape) > 1}  # messages that wait are flat
        alive = tensors()
        parameters = [tensor for tensor in alive if isinstance(tensor, torch.nn.Parameter)]
        result = {
            'own': len([tensor for tensor in parameters if id(tensor) in mine]),
            'other parameters': [list(t.shape) for t in parameters if id(t) not in mine],
            'foreign shapes': len(foreign),
            'of a foreign shape': [list(t.shape) for t in alive if tuple(t.shape) in foreign],
        }
        self.found.setdefault(when, []).append(result)
