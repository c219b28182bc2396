"""The plan of a prediction in windows traces few of them, and finds the peak of all."""

import pytest
from mmengine.config import Config

from infopro_seg.memory import prediction
from infopro_seg.memory.prediction import trace_prediction
from infopro_seg.models.segmentor import InfoProEncoderDecoder
from tests.memory.test_prediction import SIZE, SLIDE, VARIANTS
from tests.stand_ins import model_config


@pytest.mark.parametrize(
    ('amp', 'variants', 'batch'), [(None, (), 2), ('fp16', (), 3), (None, VARIANTS, 2)], ids=str
)
def test_few_windows_have_the_peak_of_all(amp, variants, batch, monkeypatch):
    runs = []
    compute = InfoProEncoderDecoder.small_logits
    monkeypatch.setattr(
        InfoProEncoderDecoder, 'small_logits', lambda *args: (runs.append(args[1].shape), compute(*args))[1]
    )
    config = Config({'model': model_config(()) | {'test_cfg': SLIDE | {'window_batch': batch}}})
    found = trace_prediction(config, SIZE, amp, variants).peak
    few = len(runs)
    assert all(runs.count(shape) <= 2 for shape in runs)
    monkeypatch.setattr(prediction, 'repeated', lambda compute, tracker: compute)
    assert found == trace_prediction(config, SIZE, amp, variants).peak
    assert len(runs) - few > few
