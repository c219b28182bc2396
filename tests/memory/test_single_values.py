"""A norm that sees one value per channel: SyncBN takes it, as other processes have more; BN does not."""

import copy

import pytest
import torch
from torch import nn

from infopro_seg.errors import ConfigError
from infopro_seg.memory import trace_step
from infopro_seg.memory.planning.largest_size import largest_batch
from infopro_seg.memory.search.recipe_search import RecipeSearch
from infopro_seg.memory.tracing.fake_model import without_sync
from infopro_seg.memory.tracing.training_setup import TrainingSetup
from tests.stand_ins import model_config

CROP = (64, 96)


def pooled(norm):
    """A network whose decode head pools the whole map."""
    config = model_config()
    config['auxiliary_head'] = None
    config['decode_head'] = {
        **config['decode_head'],
        'type': 'ASPPHead',
        'dilations': (1, 2),
        'norm_cfg': {'type': norm, 'requires_grad': True},
    }
    for key in ('num_convs', 'concat_input', 'kernel_size'):
        config['decode_head'].pop(key, None)
    return {'model': config}


def test_sync_bn_is_traced_with_one_crop():
    one, two = (trace_step(pooled('SyncBN'), batch, CROP) for batch in (1, 2))
    assert two.flops == 2 * one.flops
    assert one.peak < two.peak


def test_bn_with_one_crop_is_answered_with_the_remedy():
    with pytest.raises(ConfigError, match=r'one crop .*use batch_size=2 or more.*SyncBN'):
        trace_step(pooled('BN'), 1, CROP)


def test_two_crops_take_the_same_with_either():
    synced, plain = (trace_step(pooled(norm), 2, CROP) for norm in ('SyncBN', 'BN'))
    assert (synced.peak, synced.flops) == (plain.peak, plain.flops)


def test_the_largest_batch_is_one_that_trains():
    synced, plain = (RecipeSearch(pooled(norm), TrainingSetup(2, CROP, None)) for norm in ('SyncBN', 'BN'))
    recipe = synced.below(1, 1.0)
    one, two = (synced.trace(recipe, TrainingSetup(batch, CROP, None))[0] for batch in (1, 2))
    budget = (one + two) // 2
    assert largest_batch(synced, recipe, budget) == 1
    assert largest_batch(plain, recipe, budget) is None


def test_what_replaces_sync_bn_keeps_its_tensors_and_settings():
    norm = nn.SyncBatchNorm(4, eps=0.1, momentum=0.3)
    norm.weight.requires_grad = False
    made = without_sync(nn.Sequential(copy.copy(norm)))[0]
    assert made.weight is norm.weight
    assert made.running_mean is norm.running_mean
    assert (made.eps, made.momentum, made.weight.requires_grad) == (0.1, 0.3, False)


def test_in_evaluation_it_uses_the_statistics_as_bn_does():
    norm = nn.SyncBatchNorm(2)
    norm.running_mean.copy_(torch.tensor([1.0, 2.0]))
    made = without_sync(nn.Sequential(norm)).eval()
    one = torch.tensor([[4.0, 6.0]])
    assert torch.allclose(made(one), (one - norm.running_mean) / (1 + norm.eps) ** 0.5)
