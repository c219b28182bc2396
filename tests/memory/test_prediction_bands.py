"""The plan of a large image traces few bands of it, and finds the peak of all of them."""

import pytest
from mmengine.config import Config

from infopro_seg.errors import UserError
from infopro_seg.logit_maps import row_maps
from infopro_seg.memory.inference import inference_plan, prediction
from infopro_seg.memory.inference.inference_plan import (
    InferenceRow,
    PlanInferenceRequest,
    inference_table,
    plan_inference,
)
from infopro_seg.memory.inference.prediction import trace_prediction
from infopro_seg.memory.tracing.training_setup import TrainingSetup
from tests.memory.test_prediction import VARIANTS
from tests.stand_ins import model_config

SIZE = (256, 160)


@pytest.mark.parametrize('variants', [(), VARIANTS], ids=['single', 'tta'])
def test_few_bands_have_the_peak_of_all(variants, monkeypatch):
    monkeypatch.setattr(row_maps, 'BAND_BYTES', 4 * 5 * 160 * 8)  # 32 bands of 8 rows
    config = Config({'model': model_config(()) | {'test_cfg': {'mode': 'whole'}}})
    found = trace_prediction(config, SIZE, variants=variants).peak
    assert len([*prediction.distinct_bands(SIZE, 5)]) == 4
    monkeypatch.setattr(prediction, 'distinct_bands', row_maps.bands)
    assert found == pytest.approx(trace_prediction(config, SIZE, variants=variants).peak, rel=0.002)


@pytest.mark.parametrize('height', [1, 8, 16, 17, 24, 31, 33, 400])
def test_the_bands_traced_are_some_of_all_with_the_first_and_the_last(height, monkeypatch):
    monkeypatch.setattr(row_maps, 'BAND_BYTES', 4 * 5 * 160 * 8)
    every = [*row_maps.bands((height, 160), 5)]
    few = [*prediction.distinct_bands((height, 160), 5)]
    assert few == (every if len(every) <= 4 else [*every[:3], every[-1]])


def test_an_image_that_is_none_is_named():
    with pytest.raises(UserError, match='--size 0 300 is not an image; give height and width in pixels'):
        plan_inference(PlanInferenceRequest('configs/infopro_demo.py', (0, 300)))


def test_a_size_at_the_end_of_the_search_is_no_largest_one(monkeypatch):
    monkeypatch.setattr(inference_plan, 'LARGEST', 512)
    rows = [
        InferenceRow('a', 'whole', False, 2**20, (256, 512)),
        InferenceRow('b', 'slide', False, 2**20, (512, 1024)),
        InferenceRow('c', 'slide', False, 2**20, None),
    ]
    table = inference_table(rows, TrainingSetup(1, SIZE), 0, 2**30)
    assert [*table.columns[-1].cells] == ['256x512', '512x1024 or more', '-']
