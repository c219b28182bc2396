"""The largest crop and batch against every size, for peaks that need not grow straight."""

from dataclasses import replace

import pytest

from infopro_seg.batch_norm import SingleValueError
from infopro_seg.config_files import load_config
from infopro_seg.errors import ConfigError
from infopro_seg.memory.planning.largest_size import largest_batch, largest_crop, with_largest
from infopro_seg.memory.planning.plan import Plan
from infopro_seg.memory.planning.plan_output import plan_table
from infopro_seg.memory.search.recipe_search import RecipeSearch
from infopro_seg.memory.search.recipes import Recipe
from infopro_seg.memory.tracing.training_setup import TrainingSetup, training_setup
from tests.memory.traces import trace_once
from tests.runs import DEMO


class Traces:
    """Stands in for a search: the peak of a step by a formula; smaller batches than `fewest` do not train."""

    def __init__(self, peak, crop=(96, 192), batch=4, fewest=1):
        self.setup = TrainingSetup(batch, crop)
        self.fewest = fewest
        self.peak = peak
        self.state_bytes = peak(0)
        self.count = 0

    def trace(self, recipe, setup):
        self.count += 1
        if setup.batch < self.fewest:
            raise SingleValueError
        height, width = setup.crop
        return self.peak(setup.batch * height * width), 1


PEAKS = {
    'straight': lambda pixels: 1000 + 3 * pixels,
    'squared': lambda pixels: 1000 + 2 * pixels + pixels**2 // 10**6,  # attention
    'in steps': lambda pixels: 1000 + 3 * -(-pixels // 50000) * 50000,
    'flat at first': lambda pixels: max(200000, 3 * pixels),
}


@pytest.mark.parametrize('name', PEAKS)
@pytest.mark.parametrize('predicted', [0.5, 1.0, 2.0])
@pytest.mark.parametrize('budget', [20_000, 150_000, 300_000, 3_000_000, 30_000_000])
def test_the_largest_size_fits_and_the_next_does_not(name, predicted, budget):
    peak = PEAKS[name]
    recipe = Recipe('E2E', (), False, False, round(predicted * peak(4 * 96 * 192)), 1, '')
    search = Traces(peak)
    crops = [size for size in range(64, 8193, 64) if peak(4 * 2 * size**2) <= budget]
    assert largest_crop(search, recipe, budget) == ((crops[-1], 2 * crops[-1]) if crops else None)
    for fewest in (1, 2):
        batches = [images for images in range(fewest, 4097) if peak(images * 96 * 192) <= budget]
        found = largest_batch(Traces(peak, fewest=fewest), recipe, budget)
        assert found == (batches[-1] if batches else None)


def test_a_few_traces_are_enough_where_the_peak_grows_straight():
    search = Traces(PEAKS['straight'])
    recipe = Recipe('E2E', (), False, False, PEAKS['straight'](4 * 96 * 192), 1, '')
    largest_batch(search, recipe, 10**7)
    assert search.count == 2  # the answer, and the next
    found = largest_crop(search, replace(recipe, peak=recipe.peak // 2), 10**7)
    assert found is not None
    assert search.count <= 2 + 4


@pytest.fixture(scope='module')
def demo():
    """The search for the demo's recipes, and the recipe of its config."""
    config = load_config(DEMO)
    search = RecipeSearch(config, training_setup(config))
    return search, search.recipe_at(search.ends_of(config.model.backbone.cuts), 'InfoPro K=3')


def test_a_network_that_cannot_train_on_one_image_has_no_batch_or_a_larger_one(demo):
    """Its decode head normalises what it has pooled to one value."""
    search, recipe = demo
    peaks = [trace_once(search.cfg, images, (96, 192)).peak for images in (2, 4, 5)]
    found = [largest_batch(search, recipe, budget) for budget in (peaks[0] - 1, peaks[1], peaks[2] - 1)]
    assert found == [None, 4, 4]
    with pytest.raises(ConfigError, match='use batch_size=2 or more'):
        search.trace(recipe, TrainingSetup(1, (96, 192)))


def test_the_largest_crop_of_a_real_network_fits_and_the_next_does_not(demo):
    search, recipe = demo
    peaks = [trace_once(search.cfg, 4, (size, 2 * size)).peak for size in (64, 128, 192)]
    found = [largest_crop(search, recipe, budget) for budget in (peaks[0] - 1, peaks[1], peaks[2] - 1)]
    assert found == [None, (128, 256), (128, 256)]


def test_the_column_of_the_largest_size_stays_where_nothing_fits(demo):
    search, recipe = demo
    plan = Plan(search.setup, recipe, (recipe,), budget=1)
    shown = {
        (crop, batch): [
            column.header for column in plan_table(with_largest(search, plan, 1, crop, batch)).columns
        ]
        for crop in (False, True)
        for batch in (False, True)
    }
    for (crop, batch), columns in shown.items():
        assert ('largest crop' in columns, 'largest batch' in columns) == (crop, batch)
