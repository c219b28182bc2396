"""Plans of a config that freezes the first stages itself."""

import pytest

from infopro_seg.memory.planning.planner import Planner
from infopro_seg.memory.search import recipe_search
from infopro_seg.memory.tracing.training_setup import training_setup
from tests.memory.short_resnets import short_encoder
from tests.memory.test_cuts import config_with


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
