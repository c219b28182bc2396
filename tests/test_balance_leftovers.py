"""What `num_modules` was to find its cuts by does not stay in configs whose cuts are found."""

import pytest
from mmengine.config import Config
from mmseg.registry import MODELS

from infopro_seg.config_edits import without_local_modules
from infopro_seg.memory.search.cuts import resolve_cuts
from infopro_seg.memory.tracing.training_setup import TrainingSetup
from infopro_seg.memory.variants import without_cuts
from infopro_seg.training.memory_budget import memory_beside
from tests.stand_ins import CUTS, model_config

BALANCE = {'balance': 'flops', 'budgets': ('1GiB', '1GiB')}


def config(**backbone):
    model = model_config()
    model['backbone'].update(backbone)
    return Config({'model': model, 'train_dataloader': {'batch_size': 2}, 'crop_size': (32, 64)})


@pytest.mark.parametrize('edit', [without_cuts, lambda cfg: {'model': without_local_modules(cfg.model)}])
def test_a_network_in_one_piece_is_built(edit):
    cfg = config(num_modules=2, **BALANCE)
    assert MODELS.build(edit(cfg)['model']).backbone.cuts == ()


def test_cuts_that_are_there_are_kept():
    resolved = resolve_cuts(config(num_modules=None, cuts=CUTS, **BALANCE))
    assert MODELS.build(resolved.model).backbone.cuts == CUTS


def test_the_copy_of_averaged_weights_is_known_before_the_cuts():
    cfg = config(num_modules=2)
    cfg.custom_hooks = [{'type': 'EMAHook'}]
    found = memory_beside.memory_beside(cfg, TrainingSetup(2, (32, 64)))
    assert found == memory_beside.memory_beside(
        Config({**without_cuts(cfg), 'custom_hooks': cfg.custom_hooks}), TrainingSetup(2, (32, 64))
    )
