"""Recomputing networks against plain ones: equal gradients and buffers, fewer bytes, known FLOPs."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.runner import autocast
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.ddp import LocalDistributedDataParallel
from infopro_seg.models.recomputation.recompute import POLICIES, recompute
from infopro_seg.models.train_step import local_train_step

CLASSES, SIZE = 5, (32, 64)
NORM = {'type': 'BN'}
CUTS = ('layer2.1', 'layer3.2')


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmseg')
    torch.set_num_threads(1)


def head(**kwargs: Any) -> dict[str, Any]:
    config = {'type': 'FCNHead', 'channels': 6, 'num_convs': 1, 'concat_input': False, 'norm_cfg': NORM}
    return config | {'num_classes': CLASSES, 'dropout_ratio': 0.3} | kwargs


def decode_head() -> dict[str, Any]:
    config = head(type='ASPPHead', in_index=3, dilations=(1, 2))
    return {key: value for key, value in config.items() if key not in ('num_convs', 'concat_input')}


def model_config(cuts: tuple[str, ...] = (), norm: Any = NORM, **backbone: Any) -> dict[str, Any]:
    encoder = {'type': 'ResNetV1c', 'depth': 50, 'stem_channels': 4, 'base_channels': 4, 'norm_cfg': norm}
    encoder |= backbone.pop('encoder', {})
    decoder = {'type': 'ReconstructionDecoder', 'channels': (6, 4)}
    return {
        'type': 'InfoProEncoderDecoder',
        'data_preprocessor': {
            'type': 'SegDataPreProcessor',
            'mean': [120.0] * 3,
            'std': [60.0] * 3,
            'size': SIZE,
        },
        'backbone': {
            'type': 'InfoProBackbone',
            'encoder': encoder,
            'cuts': cuts,
            'local_head': {'type': 'InfoProHead', 'decoder': decoder, 'auxiliary_head': head()},
            **backbone,
        },
        'decode_head': decode_head(),
        'auxiliary_head': head(in_index=2, loss_decode={'type': 'CrossEntropyLoss', 'loss_weight': 0.4}),
    }


def build(config: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(config))
    model.train()
    return model


def batch() -> dict[str, Any]:
    random = torch.Generator().manual_seed(1)
    samples = []
    for _ in range(2):
        label = torch.randint(0, CLASSES, (1, *SIZE), generator=random)
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=label), metainfo={'img_shape': SIZE}))
    images = [torch.randint(0, 256, (3, *SIZE), generator=random, dtype=torch.uint8) for _ in range(2)]
    return {'inputs': images, 'data_samples': samples}


class Autocast(OptimWrapper):
    @contextmanager
    def optim_context(self, model: nn.Module) -> Any:
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield


def trained(model: Any, wrapper: type[OptimWrapper] = OptimWrapper) -> dict[str, torch.Tensor]:
    """Parameters, buffers and losses after two train steps."""
    optim_wrapper = wrapper(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    torch.manual_seed(2)
    for _ in range(2):
        losses = local_train_step(model, batch(), optim_wrapper)
    return {**copy.deepcopy(model.state_dict()), **losses}


def assert_same(actual: Any, expected: Any) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


@pytest.mark.parametrize('cuts', [(), CUTS])
def test_policies_train_the_same_network(cuts):
    expected = trained(build(model_config(cuts)))
    for policy in POLICIES[1:]:
        assert_same(trained(build(model_config(cuts, checkpoint=policy, checkpoint_heads=True))), expected)


def test_policies_train_the_same_network_under_autocast():
    expected = trained(build(model_config(CUTS)), Autocast)
    model = build(model_config(CUTS, checkpoint=list(POLICIES[1:]), checkpoint_heads=True))
    assert_same(trained(model, Autocast), expected)


@pytest.mark.parametrize(
    'kwargs',
    [
        {'norm': {'type': 'BN', 'momentum': None}},
        {'encoder': {'norm_eval': True}},
        {'encoder': {'frozen_stages': 1}},
        {'encoder': {'type': 'ResNet', 'depth': 18}},
    ],
)
def test_other_norms_and_encoders_train_the_same_network(kwargs):
    cuts = () if 'encoder' not in kwargs or 'depth' in kwargs['encoder'] else CUTS
    expected = trained(build(model_config(cuts, **kwargs)))
    for policy in ('norms', 'blocks'):
        assert_same(trained(build(model_config(cuts, checkpoint=policy, **kwargs))), expected)


def test_works_in_a_distributed_wrapper(tmp_path):
    torch.distributed.init_process_group('gloo', f'file://{tmp_path}/store', rank=0, world_size=1)
    try:
        model = build(model_config(CUTS, checkpoint=['blocks', 'norms', 'expansions'], checkpoint_heads=True))
        wrapped = LocalDistributedDataParallel(model)
        found = {key.removeprefix('module.'): value for key, value in trained(wrapped).items()}
    finally:
        torch.distributed.destroy_process_group()
    assert_same(found, trained(build(model_config(CUTS))))


def test_dropout_inside_a_block_draws_the_same_numbers():
    block = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout(0.5), nn.ReLU(), nn.Conv2d(4, 4, 1))
    gradients = []
    for policy in POLICIES:
        block.zero_grad()
        torch.manual_seed(0)
        recompute(policy, block, [block], torch.ones(2, 3, 4, 4)).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in block.parameters()])
        assert_same(gradients[-1], gradients[0])


def test_recomputes_from_the_first_block_of_each_module():
    model = build(model_config(CUTS, checkpoint=True))
    runs: dict[str, int] = {}
    for name, module in model.backbone.encoder.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *_, name=name: runs.update({name: runs.get(name, 0) + 1}))
    for losses in model.local_losses(**model.data_preprocessor(batch(), True)):
        model.parse_losses(losses)[0].backward()
    assert set(runs.values()) == {2}


def test_without_gradient_nothing_is_recomputed():
    block = nn.BatchNorm2d(3)
    with torch.no_grad():
        assert not recompute('blocks', block, [block], torch.ones(2, 3, 4, 4)).requires_grad
    assert block.num_batches_tracked == 1


def test_number_of_modules_is_resolved_before_the_model_is_built():
    with pytest.raises(ConfigError, match=r'num_modules=3 is resolved by infopro_seg.memory.resolve_cuts'):
        build(model_config(num_modules=3))
    assert build(model_config(CUTS, num_modules=3)).backbone.cuts == CUTS
