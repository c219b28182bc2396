"""Norms and clipping of processes that train one local module each."""

import pytest
import torch
from mmengine.registry import OPTIM_WRAPPERS, init_default_scope
from torch import nn

from infopro_seg.errors import ConfigError
from infopro_seg.training.module_parallel.norms import synchronise_norms
from infopro_seg.training.optimizers.module_clipping import clipping_config
from tests.stand_ins import CUTS, build, model_config


def test_one_replica_has_nothing_to_synchronise():
    layers = nn.Sequential(nn.SyncBatchNorm(2), nn.BatchNorm2d(2))
    kinds = [type(layer).__name__ for layer in synchronise_norms(layers, True, replicas=1, group=None)]
    assert not any('Sync' in kind for kind in kinds)


def test_norms_of_mmcv_are_refused():
    class SyncBatchNorm(nn.Module):
        pass

    with pytest.raises(ConfigError, match='1 is an MMSyncBN; module-parallel'):
        synchronise_norms(nn.Sequential(nn.ReLU(), SyncBatchNorm()), False, replicas=2, group=None)


def test_clipping_by_module_clips_each_by_its_own_norm():
    init_default_scope('mmseg')
    model = build(model_config(CUTS[:1]))
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    config = {'type': 'OptimWrapper', 'clip_grad': {'max_norm': 1.0, 'per_module': True}}
    optim_wrapper = OPTIM_WRAPPERS.build(
        clipping_config(config), default_args={'optimizer': torch.optim.SGD(parameters, lr=0.1)}
    )
    optim_wrapper.know_modules(model)
    optim_wrapper._clip_grad()
    encoder = model.backbone.encoder
    early = nn.ModuleList([encoder.stem, encoder.layer1, encoder.layer2[0], model.backbone.local_heads])
    first = {id(p) for p in early.parameters()}
    for own in (True, False):
        gradients = [p.grad.flatten() for p in parameters if (id(p) in first) is own]
        assert torch.cat(gradients).norm().item() == pytest.approx(1.0, rel=1e-4)
