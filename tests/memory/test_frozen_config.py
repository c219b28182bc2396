"""Plans of a config that freezes the first stages itself."""

import pytest
from mmseg.registry import MODELS

from infopro_seg.memory.planning.planner import Planner
from infopro_seg.memory.search import recipe_search
from infopro_seg.memory.tracing.training_setup import training_setup
from infopro_seg.memory.variants import frozen_stages
from tests.memory.short_resnets import short_encoder
from tests.memory.test_cuts import config_with
from tests.stand_ins import encoder_config


@pytest.fixture
def planner(monkeypatch):
    monkeypatch.setattr(recipe_search, 'POLICIES', ('none', 'blocks'))  # less to measure
    config = config_with(encoder=short_encoder(5))
    config.model.backbone.encoder.frozen_stages = 1
    return Planner(config, training_setup(config))


@pytest.mark.parametrize('modules', [1, 2])
def test_predictions_are_those_of_complete_traces(planner, modules):
    plain = next(row for row in planner.plan([modules]).recipes if not row.recomputing)
    traced = planner.traced(plain)
    assert not plain.frozen_stages
    assert plain.peak == pytest.approx(traced.peak, rel=1e-3)
    assert plain.flops == pytest.approx(traced.flops, rel=1e-3)


def freezes(encoder, count):
    try:
        MODELS.build({**encoder, 'frozen_stages': count}).train()
    except (AttributeError, IndexError):
        return False
    return True


SWIN = {'type': 'SwinTransformer', 'embed_dims': 8, 'num_heads': (1, 1), 'depths': (1, 1), 'window_size': 4}
TWO = {'num_stages': 2, 'strides': (1, 2), 'dilations': (1, 1)}


@pytest.mark.parametrize('encoder', [encoder_config(), encoder_config(**TWO, out_indices=(0, 1)), SWIN])
def test_no_more_stages_are_frozen_than_there_are(encoder):
    encoder = {'out_indices': (0, 1), **encoder}
    assert frozen_stages(encoder) == [count for count in (1, 2, 3) if freezes(encoder, count)]
