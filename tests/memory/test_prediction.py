"""The traced peak of a prediction is that of real tensors."""

from copy import deepcopy

import pytest
import torch
from mmengine.config import Config
from mmseg.structures import SegDataSample

from infopro_seg.evaluation.tta import TTAModel
from infopro_seg.logit_maps import row_maps
from infopro_seg.memory.inference.prediction import trace_prediction
from infopro_seg.memory.tracing.storages import StorageTracker, storage_bytes
from tests.stand_ins import CUTS, build, model_config

SIZE = (96, 160)
SLIDE = {'mode': 'slide', 'crop_size': (48, 64), 'stride': (32, 40), 'window_batch': 2}
VARIANTS = ((1.0, False), (1.5, True))


def image(scale=1.0, flip=False):
    size = tuple(round(scale * length) for length in SIZE)
    meta = {
        'img_shape': size,
        'ori_shape': SIZE,
        'img_path': '',
        'flip': flip,
        'flip_direction': 'horizontal',
    }
    pixels = torch.zeros((3, *size), dtype=torch.uint8)
    return {'inputs': [pixels], 'data_samples': [SegDataSample(metainfo=meta)]}


@pytest.mark.parametrize('variants', [(), VARIANTS], ids=['single', 'tta'])
@pytest.mark.parametrize('test_cfg', [{'mode': 'whole'}, SLIDE], ids=['whole', 'slide'])
def test_the_peak_is_that_of_real_tensors(test_cfg, variants):
    config = Config({'model': model_config(()) | {'test_cfg': test_cfg}})
    model = build(deepcopy(config.model.to_dict()), double=False).eval()
    with StorageTracker(values=True) as tracker, torch.no_grad():
        with tracker.paused():
            batches = [image(*variant) for variant in variants or ((),)]
            tracker.follow([tensor for batch in batches for tensor in batch['inputs']])
        tracker.follow([*model.parameters(), *model.buffers()])
        if variants:
            TTAModel(module=model).test_step({key: [one[key] for one in batches] for key in batches[0]})
        else:
            model.test_step(batches[0])
        peak = tracker.phases[-1].peak
    assert trace_prediction(config, SIZE, variants=variants).peak == pytest.approx(peak, rel=0.02)


def test_a_validation_in_training_also_holds_local_heads_and_the_optimizer_s_state():
    config = Config(
        {
            'model': model_config(CUTS),
            'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': 0.1, 'momentum': 0.9}},
        }
    )
    alone, training = (trace_prediction(config, SIZE, in_training=flag) for flag in (False, True))
    everything = storage_bytes(build(model_config(CUTS), double=False).parameters())
    network = storage_bytes(build(model_config(()), double=False).parameters())
    extra = training.held - alone.held
    assert extra - (2 * everything - network) < 0.05 * everything  # buffers of the local heads
    assert extra >= 2 * everything - network
    assert training.peak - alone.peak == pytest.approx(extra, rel=0.01)
    config.optim_wrapper = None  # for tests only: then SGD with momentum
    assert trace_prediction(config, SIZE, in_training=True) == training


def test_more_classes_hardly_count(monkeypatch):
    monkeypatch.setattr(row_maps, 'BAND_BYTES', 2**21)
    peaks = []
    for classes in (5, 150):
        config = Config({'model': model_config(()) | {'test_cfg': SLIDE}})
        config.model.decode_head.num_classes = config.model.auxiliary_head.num_classes = classes
        peaks.append(trace_prediction(config, (256, 256)).peak)
    assert peaks[1] - peaks[0] < 150 * 256 * 256 * 4 / 4  # a quarter of the logits at full size
