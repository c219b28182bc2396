"""The accuracy that a plan names is that of the very training, or none."""

from dataclasses import replace
from pathlib import Path

import pytest

from infopro_seg.config_files import load_config
from infopro_seg.memory.planning.known_accuracy import known_accuracy
from infopro_seg.memory.search.recipes import Recipe
from infopro_seg.memory.tracing.training_setup import training_setup

CONFIGS = Path(__file__).parents[2] / 'configs'
INFOPRO, DGL = 'E2E + 0.25 mIoU (paper)', 'E2E - 0.97 mIoU (paper)'
KNOWN = {'deeplabv3_infopro_cityscapes': INFOPRO, 'deeplabv3_dgl_cityscapes': DGL}
AT_THE_PAPERS_CUT = Recipe('InfoPro K=2', ('layer3.12',), False, False, 1, 1, '')


def accuracy(cfg, recipe=AT_THE_PAPERS_CUT, **changes):
    return known_accuracy(cfg, recipe, replace(training_setup(cfg), **changes))


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('deeplabv3_*.py')), ids=lambda path: path.stem)
def test_only_the_papers_trainings_have_a_figure(path):
    """Not those with other local heads, data, crops, batches or stages, for all that is alike."""
    assert accuracy(load_config(path)) == KNOWN.get(path.stem)


def test_a_figure_holds_for_the_papers_cut_crop_and_batch():
    cfg = load_config(CONFIGS / 'deeplabv3_infopro_cityscapes.py')
    assert accuracy(cfg, replace(AT_THE_PAPERS_CUT, recompute='norms')) == INFOPRO
    assert accuracy(cfg, batch=8) == INFOPRO
    assert accuracy(cfg, batch=6) is None
    assert accuracy(cfg, crop=(640, 1280)) is None
    assert accuracy(cfg, replace(AT_THE_PAPERS_CUT, cuts=('layer3.11',))) is None
    assert accuracy(cfg, replace(AT_THE_PAPERS_CUT, cuts=(), frozen_stages=1)) is None
    assert accuracy(cfg, replace(AT_THE_PAPERS_CUT, cuts=(), recompute='blocks')) == 'as E2E'


def test_weights_that_depend_on_the_number_of_modules_are_those_of_two():
    cfg = load_config(CONFIGS / 'deeplabv3_infopro_cityscapes.py')
    loss = cfg.model.backbone.local_head.decoder.loss_recon
    weight = loss.get('loss_weight', 1.0)
    loss.loss_weight = {'k2': (weight, 7.0), 'k4': 9.0}
    assert accuracy(cfg) == INFOPRO
    loss.loss_weight = {'k2': 9.0, 'k4': weight}
    assert accuracy(cfg) is None


@pytest.mark.parametrize('option', [{'overlap': 1}, {'momentum_block': 0.99}])
def test_variants_of_the_method_have_none(option):
    cfg = load_config(CONFIGS / 'deeplabv3_infopro_cityscapes.py')
    cfg.model.backbone.update(option)
    assert accuracy(cfg) is None
