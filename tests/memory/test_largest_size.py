"""The largest crop and batch against every size, for peaks that need not grow straight."""

from dataclasses import replace

import pytest

from infopro_seg.memory.planning.largest_size import largest_batch, largest_crop
from infopro_seg.memory.search.recipes import Recipe
from infopro_seg.memory.tracing.training_setup import TrainingSetup


class Traces:
    """Stands in for a search: the peak of a step by a formula."""

    def __init__(self, peak, crop=(96, 192), batch=4):
        self.setup = TrainingSetup(batch, crop)
        self.peak = peak
        self.state_bytes = peak(0)
        self.count = 0

    def trace(self, recipe, setup):
        self.count += 1
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
    search = Traces(peak)
    recipe = Recipe('E2E', (), False, False, round(predicted * peak(4 * 96 * 192)), 1, '')
    crops = [size for size in range(64, 8193, 64) if peak(4 * 2 * size**2) <= budget]
    assert largest_crop(search, recipe, budget) == ((crops[-1], 2 * crops[-1]) if crops else None)
    batches = [images for images in range(1, 4097) if peak(images * 96 * 192) <= budget]
    assert largest_batch(search, recipe, budget) == (batches[-1] if batches else None)


def test_a_few_traces_are_enough_where_the_peak_grows_straight():
    search = Traces(PEAKS['straight'])
    recipe = Recipe('E2E', (), False, False, PEAKS['straight'](4 * 96 * 192), 1, '')
    largest_batch(search, recipe, 10**7)
    assert search.count == 2  # the answer, and the next
    found = largest_crop(search, replace(recipe, peak=recipe.peak // 2), 10**7)
    assert found is not None
    assert search.count <= 2 + 4
