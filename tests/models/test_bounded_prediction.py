"""Labels found a band of rows at a time are those of stock mmseg."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models import SegTTAModel
from mmseg.structures import SegDataSample

from infopro_seg.errors import ConfigError
from infopro_seg.evaluation.tta import TTAModel
from infopro_seg.logit_maps import row_maps
from infopro_seg.models.row_maps import FlippedMap, ResizedMap, SlidingMap, StoredMap, window_starts
from tests.stand_ins import (
    CUTS,
    build,
    head_config,
    load_stock,
    make_batch,
    model_config,
    preprocessed,
    stock_config,
)

SLIDE = {'mode': 'slide', 'crop_size': (32, 40), 'stride': (20, 24)}


def pair(test_cfg):
    """A network of ours and the stock one, with the same weights in float64."""
    config = model_config(CUTS, decode_head=head_config(in_index=1)) | {'test_cfg': test_cfg}
    ours, stock = (
        build(config | {'test_cfg': test_cfg | {'return_logits': True}}),
        build(stock_config(config)),
    )
    give_all_classes(stock)
    load_stock(ours, stock)
    return ours.eval(), stock.eval()


def give_all_classes(network):
    """Statistics of norms, and a classifier, by which every class is found somewhere."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    torch.manual_seed(5)
    images = torch.randn(2, 3, 61, 90, dtype=torch.float64)
    metas = [{'img_shape': images.shape[2:]}] * 2
    with torch.no_grad():
        network.train().encode_decode(images, metas)
        logits = network.eval().encode_decode(images, metas)
        network.decode_head.conv_seg.bias -= logits.mean((0, 2, 3))


def samples_of(metas):
    return [SegDataSample(metainfo=dict(meta)) for meta in metas]


@pytest.fixture(autouse=True)
def thin_bands(monkeypatch):
    """Bands of few rows, so that images have several."""
    monkeypatch.setattr(row_maps, 'BAND_BYTES', 4 * 5 * 90 * 7)


@pytest.mark.parametrize('test_cfg', [{'mode': 'whole'}, SLIDE, SLIDE | {'window_batch': 3}], ids=str)
@pytest.mark.parametrize(
    'meta',
    [
        {},
        {'flip': True, 'flip_direction': 'horizontal'},
        {'flip': True, 'flip_direction': 'vertical', 'ori_shape': (101, 67)},
        {'padding_size': [3, 5, 2, 7], 'ori_shape': (40, 150)},
        {'img_padding_size': [0, 11, 0, 6]},
    ],
    ids=str,
)
def test_labels_and_logits_are_those_of_stock_mmseg(test_cfg, meta):
    ours, stock = pair(test_cfg)
    torch.manual_seed(3)
    inputs = torch.randn(2, 3, 61, 90, dtype=torch.float64)
    shape = {'img_shape': (61, 90), 'pad_shape': (61, 90), 'ori_shape': (61, 90)}
    metas = [shape | meta, shape | meta | {'ori_shape': (61, 90)}]
    with torch.no_grad():
        expected = stock.predict(inputs, samples_of(metas))
        maps = ours.logit_maps(inputs, samples_of(metas))
        found = ours.predict(inputs, samples_of(metas))
    for theirs, logits, result in zip(expected, maps, found, strict=True):
        exact = theirs.seg_logits.data
        rows = torch.cat([logits(at, min(at + 9, logits.size[0])) for at in range(0, logits.size[0], 9)], 1)
        torch.testing.assert_close(rows, exact, rtol=1e-12, atol=1e-12)
        assert result.pred_sem_seg.data.dtype == torch.int16
        assert torch.equal(result.pred_sem_seg.data.long(), theirs.pred_sem_seg.data)
        assert len(result.pred_sem_seg.data.unique()) > 1
        assert torch.equal(result.seg_logits.data, exact.half())


def test_images_without_samples_are_segmented_too():
    ours, stock = pair({'mode': 'whole'})
    inputs = torch.randn(2, 3, 33, 47, dtype=torch.float64)
    with torch.no_grad():
        for one, other in zip(ours.predict(inputs), stock.predict(inputs), strict=True):
            assert torch.equal(one.pred_sem_seg.data.long(), other.pred_sem_seg.data)


def test_logits_are_kept_on_request_only():
    model = build(model_config()).eval()
    [result] = model.predict(preprocessed(model, make_batch(1))[0])
    assert 'seg_logits' not in result


@pytest.mark.parametrize('test_cfg', [{'mode': 'whole'}, SLIDE], ids=['whole', 'slide'])
def test_scales_and_flips_are_averaged_as_in_stock_mmseg(test_cfg):
    ours, stock = pair(test_cfg)
    data = {'inputs': [], 'data_samples': []}
    truth = PixelData(data=torch.zeros(1, 50, 70, dtype=torch.long))
    for size, flip in (((50, 70), None), ((75, 105), 'horizontal'), ((38, 52), 'vertical')):
        meta = {'img_shape': size, 'ori_shape': (50, 70), 'flip': flip is not None, 'flip_direction': flip}
        sample = SegDataSample(metainfo=meta | {'img_path': 'a.png'}, gt_sem_seg=truth)
        data['inputs'].append([torch.randint(0, 256, (3, *size), dtype=torch.uint8)])
        data['data_samples'].append([sample])
    ours.data_preprocessor.double(), stock.data_preprocessor.double()
    expected, found = [], []
    for model, kind, results in ((stock, SegTTAModel, expected), (ours, TTAModel, found)):
        for index in range(3):
            data['data_samples'][index] = [data['data_samples'][index][0].clone()]
        with torch.no_grad():
            results += kind(module=model).test_step(
                {key: [list(one) for one in value] for key, value in data.items()}
            )
    [theirs], [result] = expected, found
    assert torch.equal(result.pred_sem_seg.data.long(), theirs.pred_sem_seg.data)
    assert len(result.pred_sem_seg.data.unique()) > 1
    assert result.gt_sem_seg.data.shape == truth.data.shape
    assert result.img_path == 'a.png'


def test_only_the_windows_at_work_are_held():
    model = build(model_config(CUTS) | {'test_cfg': SLIDE | {'stride': (32, 40)}}).eval()
    with torch.no_grad():
        [logits] = model.logit_maps(torch.randn(1, 3, 320, 80, dtype=torch.float64))
        calls = []
        compute = logits.source.compute
        logits.source.compute = lambda boxes: (calls.extend(boxes), compute(boxes))[1]
        for start in range(0, 320, 8):
            logits(start, start + 8)
            assert len(logits.source.held) <= 2
    assert len(calls) == 10 * 2  # each window once


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('size', [(17, 23), (64, 9), (5, 31), (1, 1), (40, 8), (11, 19), (11, 5)], ids=str)
@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16], ids=str)
def test_rows_are_those_of_interpolate(size, align_corners, dtype):
    torch.manual_seed(0)
    small = torch.randn(3, 11, 8).to(dtype)
    whole = torch.nn.functional.interpolate(
        small[None].to(torch.promote_types(dtype, torch.float32)),
        size,
        mode='bilinear',
        align_corners=align_corners,
    )[0]
    resized = ResizedMap(StoredMap(small), size, align_corners)
    rows = torch.cat([resized(at, min(at + 3, size[0])) for at in range(0, size[0], 3)], 1)
    torch.testing.assert_close(rows, whole, rtol=0, atol=1e-5 if dtype == torch.bfloat16 else 1e-12)


def test_windows_of_half_precision_are_averaged_in_single_precision():
    torch.manual_seed(0)
    windows = torch.randn(2, 3, 8, 8).bfloat16()
    found = SlidingMap(lambda boxes: list(windows), (8, 12), (8, 8), (4, 4), False, batch=2)(0, 8)
    expected = torch.zeros(3, 8, 12)
    expected[..., :8] += windows[0]
    expected[..., 4:] += windows[1]
    expected[..., 4:8] /= 2
    assert torch.equal(found, expected)


def test_a_flip_that_cannot_be_turned_back_is_an_error():
    with pytest.raises(ConfigError, match="flip_direction='diagonal'"):
        FlippedMap(StoredMap(torch.zeros(1, 2, 2)), 'diagonal')


def test_windows_begin_where_mmseg_s_do():
    assert window_starts(100, 40, 30) == [0, 30, 60]
    assert window_starts(101, 40, 30) == [0, 30, 60, 61]
    assert window_starts(30, 40, 30) == [0]


@pytest.mark.parametrize(
    ('test_cfg', 'words'),
    [
        ({'mode': 'window'}, ["mode='window'", "'whole' or 'slide'"]),
        ({'mode': 'slide'}, ['crop_size=None', 'two whole numbers above 0']),
        (SLIDE | {'stride': (0, 10)}, ['stride=(0, 10)', 'two whole numbers above 0']),
        (SLIDE | {'stride': 10}, ['stride=10', 'two whole numbers']),
        (SLIDE | {'stride': (20, 41)}, ['41 columns', 'gaps between windows of 40']),
        (SLIDE | {'window_batch': 0}, ['window_batch=0', 'above 0']),
    ],
    ids=str,
)
def test_a_test_cfg_that_no_image_can_be_segmented_with_is_an_error(test_cfg, words):
    with pytest.raises(ConfigError) as caught:
        build(model_config() | {'test_cfg': test_cfg})
    for word in words:
        assert word in str(caught.value)
