"""What a training step keeps alive, and for how long."""

import gc
import pickle
import weakref
from contextlib import contextmanager
from copy import deepcopy

import torch

from infopro_seg.models.train_step import local_train_step
from tests.models.test_train_step import merged_train_step, sgd
from tests.stand_ins import (
    CUTS,
    assert_same,
    build,
    encoder_config,
    local_head_config,
    make_batch,
    model_config,
)


class SavedBytes:
    """Bytes that autograd holds for backward at any one time; parameters are not counted."""

    def __init__(self, model):
        self.parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}
        self.held, self.sizes, self.peak = {}, {}, 0

    @contextmanager
    def counted(self):
        with torch.autograd.graph.saved_tensors_hooks(self.pack, lambda saved: saved.tensor):
            yield
        gc.collect()

    def pack(self, tensor):
        saved = Saved()
        saved.tensor = tensor
        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        if key not in self.parameters:
            self.held[key] = self.held.get(key, 0) + 1
            self.sizes[key] = storage.nbytes()
            weakref.finalize(saved, self.drop, key)
            self.peak = max(self.peak, self.live)
        return saved

    def drop(self, key):
        self.held[key] -= 1

    @property
    def live(self):
        return sum(self.sizes[key] for key, count in self.held.items() if count)


class Saved:
    tensor: torch.Tensor


def test_two_modules_hold_less_than_six_tenths_of_the_bytes_of_the_merged_loss():
    local_head = local_head_config()
    local_head['decoder']['channels'] = (4, 4, 3)
    encoder = encoder_config(depth=34, base_channels=16, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))
    config = model_config(('layer2.3',), encoder=encoder, local_head=local_head, auxiliary_head=None)
    config['data_preprocessor']['size'] = (64, 128)
    model, batch = build(config, double=False), make_batch(size=(64, 128))
    optim_wrapper = sgd(model)
    local, merged = SavedBytes(model), SavedBytes(model)
    with merged.counted():
        merged_train_step(model, batch, optim_wrapper)
    with local.counted():
        local_train_step(model, batch, optim_wrapper)
    assert merged.peak > 4_000_000
    assert local.peak < 0.6 * merged.peak
    assert local.live == merged.live == 0


def test_the_graph_of_a_module_is_gone_when_the_next_one_runs():
    model = build(model_config(CUTS), double=False)
    saved = SavedBytes(model)
    at_start = []
    for name in ('stem', 'layer2.1', 'layer4.0'):  # each is the first block of a module
        block = model.backbone.encoder.get_submodule(name)
        block.register_forward_pre_hook(lambda *args: at_start.append(saved.live))
    with saved.counted():
        model.train_step(make_batch(), sgd(model))
    assert at_start == [0, 0, 0]
    assert saved.peak > 0


def test_nothing_is_kept_on_the_modules_between_steps():
    model = build(model_config(CUTS))
    optim_wrapper = sgd(model)
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    features, handles = [], []
    for name in ('stem', 'layer1.1', 'layer3.0', 'layer4.1'):
        block = model.backbone.encoder.get_submodule(name)
        hook = block.register_forward_hook(lambda m, inputs, output: features.append(weakref.ref(output)))
        handles.append(hook)
    local_train_step(model, make_batch(), optim_wrapper)
    for handle in handles:
        handle.remove()
    gc.collect()
    assert len(features) == 4
    assert all(feature() is None for feature in features)
    assert {name: set(vars(module)) for name, module in model.named_modules()} == attributes

    copies = [deepcopy(model), pickle.loads(pickle.dumps(model))]
    local_train_step(model, make_batch(), sgd(model))
    for copy in copies:
        local_train_step(copy, make_batch(), sgd(copy))
        assert_same(dict(copy.state_dict()), dict(model.state_dict()))
