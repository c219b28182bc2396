"""In an iteration nothing of this package makes the program wait for the GPU, as reading a value does."""

import sys
from collections.abc import Sequence

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS
from torch.utils._python_dispatch import TorchDispatchMode

from infopro_seg.models.train_step import local_train_step
from tests.runs import hooks, train_tiny
from tests.stand_ins import build, head_config, local_head_config, make_batch, model_config

PACKAGES = ('infopro_seg', 'mmseg', 'mmengine', 'mmcv')
READS = {'_local_scalar_dense', 'nonzero', 'masked_select', 'equal', 'is_nonzero', 'unique_dim', '_unique2'}
COPIES = ('cpu', 'numpy', 'tolist', 'new_tensor')  # `new_tensor` copies a list to the GPU, and waits
# what mmseg and mmengine read themselves: the share of correct pixels, the number of pixels that count,
# losses for the log, the norm of the gradients for the log
THEIRS = {
    ('mmseg', 'accuracy'),
    ('mmseg', 'cross_entropy'),
    ('mmseg', 'binary_cross_entropy'),
    ('mmengine', '_get_valid_value'),
    ('mmengine', '_clip_grad'),
}


class Waits(TorchDispatchMode):
    """Notes who reads a value of a tensor: the package and the function."""

    def __enter__(self):
        self.found = set()
        self.patch = pytest.MonkeyPatch()
        for name in COPIES:
            self.patch.setattr(torch.Tensor, name, self.noting(getattr(torch.Tensor, name)), raising=False)
        return super().__enter__()

    def __exit__(self, *error):
        self.patch.undo()
        return super().__exit__(*error)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name.removeprefix('aten::')
        indices = args[1] if name.startswith('index') and len(args) > 1 else ()
        by_mask = isinstance(indices, Sequence) and any(
            isinstance(index, torch.Tensor) and index.dtype in (torch.bool, torch.uint8) for index in indices
        )
        if name in READS or by_mask:
            self.note()
        return func(*args, **(kwargs or {}))

    def noting(self, method):
        def noted(*args, **kwargs):
            self.note()
            return method(*args, **kwargs)

        return noted

    def note(self):
        frame = sys._getframe(1)
        while frame is not None:
            package = frame.f_globals.get('__name__', '').partition('.')[0]
            if package in PACKAGES:
                self.found.add((package, frame.f_code.co_name))
                return
            frame = frame.f_back
        self.found.add(('torch', 'somewhere'))


def lean(**kwargs):
    weights = {'class_weight': [1.0, 2.0, 1.0, 1.0, 0.5]}
    return head_config(loss_decode={'type': 'LeanCrossEntropyLoss', **weights}, **kwargs)


def binary():
    loss = {'type': 'CrossEntropyLoss', 'use_sigmoid': True, 'class_weight': [2.0], 'avg_non_ignore': True}
    head = head_config(in_index=3, num_classes=2, out_channels=1, loss_decode=loss)
    return {'decode_head': head, 'auxiliary_head': None, 'cuts': ()}


def contrast():
    task = {'type': 'ContrastiveHead', 'channels': 4, 'num_convs': 1, 'out_channels': 4, 'num_classes': 5}
    return {'local_head': {**local_head_config(), 'auxiliary_head': task}}


MODELS = {
    'stock losses': {},
    'lean losses': {'decode_head': lean(in_index=3), 'auxiliary_head': lean(in_index=2)},
    'one output channel': binary(),
    'contrast': contrast(),
}
BACKBONES = {
    'momentum blocks': {'momentum_block': 0.9},
    'overlap': {'overlap': 1},
    'recomputed norms': {'checkpoint': 'norms', 'checkpoint_heads': True},
    'recomputed blocks': {'checkpoint': True},
}


def waits(model, batch, **options):
    optim_wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9), **options)
    local_train_step(model, batch, optim_wrapper)  # the first step makes what lasts
    with Waits() as found:
        local_train_step(model, batch, optim_wrapper)
    return found.found


@pytest.mark.parametrize('case', [*MODELS, *BACKBONES])
def test_a_train_step_reads_no_value(case):
    config = model_config(**MODELS.get(case, {}))
    config['backbone'].update(BACKBONES.get(case, {}))
    model, batch = build(config), make_batch()
    if case == 'one output channel':
        for sample in batch['data_samples']:
            sample.gt_sem_seg.data %= 2
    found = waits(model, batch, clip_grad={'max_norm': 10.0}, accumulative_counts=2)
    found |= waits(model, batch, clip_grad={'max_norm': 10.0})
    if case == 'one output channel':
        found -= {('infopro_seg', '_check_labels')}  # on a GPU it reads the value of the step before
    assert {who for who in found if who[0] == 'infopro_seg'} == set()
    assert found <= THEIRS


@HOOKS.register_module()
class WaitsHook(Hook):
    """Notes what an iteration of a whole training reads, hooks included."""

    priority = 'VERY_HIGH'
    found = set()

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 2:  # pictures of reconstructions come after every second iteration
            self.mode = Waits()
            self.mode.__enter__()
            runner.register_hook(EndWaits(self), 'LOWEST')


class EndWaits(Hook):
    def __init__(self, begun):
        self.begun = begun

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 2:
            self.begun.mode.__exit__(None, None, None)
            WaitsHook.found |= self.begun.mode.found


def test_an_iteration_of_a_training_reads_no_value_but_for_the_log(streets, tmp_path):
    own = hooks({'type': 'WaitsHook'})
    train_tiny(
        streets,
        tmp_path,
        custom_hooks=own,
        **{'train_cfg.max_iters': 4, 'default_hooks.checkpoint.interval': 4},  # saving reads all weights
    )
    assert ('mmengine', '_get_valid_value') in WaitsHook.found
    assert WaitsHook.found <= THEIRS


@pytest.mark.parametrize('read', [bool, float, lambda t: t.tolist(), lambda t: t.cpu(), lambda t: t[t > 0]])
def test_every_read_is_noticed(read):
    with Waits() as waits:
        read(torch.ones(1))
    assert len(waits.found) == 1
