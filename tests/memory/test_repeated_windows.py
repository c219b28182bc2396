"""The plan of a prediction in windows traces few of them, and finds the peak of all."""

from collections import Counter

import pytest
from mmengine.config import Config

from infopro_seg.logit_maps import row_maps
from infopro_seg.memory.inference import prediction
from infopro_seg.memory.inference.prediction import trace_prediction
from infopro_seg.memory.tracing.storages import StorageTracker
from infopro_seg.models.segmentor import InfoProEncoderDecoder
from tests.memory.short_resnets import short_encoder
from tests.memory.test_prediction import SIZE, SLIDE, VARIANTS
from tests.stand_ins import model_config

SCALES = ((0.5, False), (1.0, True), (1.25, False))
STRIPES = {'crop_size': (24, 999), 'stride': (17, 999)}
COLUMNS = {'crop_size': (999, 40), 'stride': (999, 23)}


def config(classes=5, **test_cfg):
    """With few classes the network takes most memory, with many the scores of the bands."""
    cfg = Config({'model': model_config((), encoder=short_encoder(5)) | {'test_cfg': SLIDE | test_cfg}})
    cfg.model.decode_head.num_classes = cfg.model.auxiliary_head.num_classes = classes
    return cfg


def one_channel(cfg):
    cfg.model.decode_head |= {'num_classes': 2, 'out_channels': 1, 'threshold': 0.3, 'align_corners': True}
    cfg.model.auxiliary_head |= {'num_classes': 2, 'out_channels': 1, 'align_corners': True}
    return cfg


def counted(monkeypatch, owner, name, key):
    """Counts the calls of a method by what a function makes of its arguments."""
    calls, method = Counter(), getattr(owner, name)

    def count(*args, **kwargs):
        calls[key(args)] += 1
        return method(*args, **kwargs)

    monkeypatch.setattr(owner, name, count)
    return calls


@pytest.mark.parametrize(
    ('cfg', 'size', 'amp', 'variants'),
    [
        (config(), SIZE, None, ()),
        (config(40), SIZE, None, ()),
        (config(window_batch=3), SIZE, 'fp16', ()),
        (config(40), SIZE, None, VARIANTS),
        (config(40, window_batch=1), (101, 131), 'bf16', SCALES),
        (config(40, **STRIPES), (99, 75), None, SCALES),
        (config(40, **COLUMNS), (75, 131), None, SCALES),
        (one_channel(config()), (101, 171), None, ()),
        (one_channel(config(return_logits=True)), (101, 171), 'fp16', VARIANTS),
    ],
    ids=['alone', 'classes', 'fp16', 'tta', 'bf16', 'stripes', 'columns', 'one-channel', 'one-channel-tta'],
)
def test_few_windows_have_the_peak_of_all(cfg, size, amp, variants, monkeypatch):
    monkeypatch.setattr(
        row_maps, 'BAND_BYTES', 4 * size[1] * 21 * cfg.model.decode_head.num_classes
    )  # some bands of 21 rows
    runs = counted(monkeypatch, InfoProEncoderDecoder, 'small_logits', lambda args: args[1].shape)
    found = trace_prediction(cfg, size, amp, variants).peak
    few = runs.total()
    assert max(runs.values()) <= 2
    monkeypatch.setattr(prediction, 'trace_repeats_once', lambda model, tracker: None)
    assert found == trace_prediction(cfg, size, amp, variants).peak
    assert runs.total() - few > few


@pytest.mark.parametrize(('classes', 'amp', 'variants'), [(40, None, SCALES), (40, 'fp16', ())], ids=str)
def test_operations_traced_once_have_the_peak_of_all(classes, amp, variants, monkeypatch):
    monkeypatch.setattr(row_maps, 'BAND_BYTES', 4 * 171 * 21 * classes)
    cfg, size = config(classes, mode='whole'), (101, 171)
    operations = counted(monkeypatch, StorageTracker, '__torch_dispatch__', lambda args: 'all')
    found = trace_prediction(cfg, size, amp, variants).peak
    few = operations.total()
    monkeypatch.setattr(prediction, 'trace_repeats_once', lambda model, tracker: None)
    assert found == trace_prediction(cfg, size, amp, variants).peak
    assert operations.total() - few > few


def test_four_times_as_many_windows_hardly_need_more_operations(monkeypatch):
    operations = counted(monkeypatch, StorageTracker, '__torch_dispatch__', lambda args: 'all')
    monkeypatch.setattr(row_maps, 'BAND_BYTES', 2**18)
    counts = []
    for side in (256, 512):
        before = operations.total()
        trace_prediction(config(), (side, side), variants=SCALES)
        counts.append(operations.total() - before)
    assert counts[1] < 1.5 * counts[0]
