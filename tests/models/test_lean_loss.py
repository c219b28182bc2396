"""The lean cross-entropy against torch's and mmseg's, on logits upsampled as a whole."""

from __future__ import annotations

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmseg.models.losses import CrossEntropyLoss, accuracy
from mmseg.models.utils import resize
from torch._subclasses.fake_tensor import FakeTensorMode

from infopro_seg.errors import ConfigError
from infopro_seg.memory.tracing.storages import StorageTracker
from infopro_seg.models import LeanCrossEntropyLoss
from infopro_seg.models.losses import upsampled_cross_entropy

CLASSES, IGNORED = 7, 255
EPS = torch.finfo(torch.float32).eps
SIZES = [  # of the logits, of the labels
    ((5, 7), (33, 41)),
    ((8, 16), (64, 128)),
    ((9, 9), (9, 9)),
    ((12, 10), (5, 7)),
    ((1, 1), (6, 4)),
    ((3, 5), (1, 1)),
]


@pytest.fixture(autouse=True)
def _small_strips(monkeypatch):
    init_default_scope('mmseg')
    torch.manual_seed(0)
    monkeypatch.setattr(upsampled_cross_entropy, 'STRIP_BYTES', 20_000)
    torch.set_num_threads(1)


def case(small, size, dtype=torch.float64, count=2):
    logits = 3 * torch.randn(count, CLASSES, *small, dtype=dtype)
    label = torch.randint(0, CLASSES, (count, *size))
    label[torch.rand(label.shape) < 0.2] = IGNORED
    label[0, 0, 0] = 1
    return logits, label


def upsampled(logits, label, align_corners):
    return resize(logits, label.shape[1:], mode='bilinear', align_corners=align_corners, warning=False)


def gradient_of(compute, logits):
    logits = logits.clone().requires_grad_()
    loss = compute(logits)
    loss.backward()
    return loss.detach(), logits.grad


def assert_as_close(actual, expected, dtype):
    tolerance = 1e-9 if dtype == torch.float64 else 1e-5
    for ours, theirs in zip(actual, expected, strict=True):
        scale = max(theirs.abs().max().item(), 1e-30)
        assert (ours - theirs).abs().max().item() <= tolerance * scale


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32])
@pytest.mark.parametrize(('small', 'size'), SIZES)
def test_equals_cross_entropy_by_hand(small, size, dtype):
    logits, label = case(small, size, dtype)
    class_weight = (torch.rand(CLASSES) + 0.5).tolist()
    valid = label != IGNORED
    for align_corners, weighted, avg_non_ignore in product([False, True], repeat=3):
        weight = torch.tensor(class_weight, dtype=dtype) if weighted else None

        def expected(x, weight=weight, align_corners=align_corners, avg_non_ignore=avg_non_ignore):
            pixels = F.cross_entropy(
                upsampled(x, label, align_corners), label, weight, ignore_index=IGNORED, reduction='none'
            )
            if weight is not None:
                return 0.4 * pixels.sum() / (weight[label[valid]].sum() + EPS)
            return 0.4 * pixels.sum() / ((valid.sum().item() if avg_non_ignore else label.numel()) + EPS)

        criterion = LeanCrossEntropyLoss(
            class_weight=class_weight if weighted else None, avg_non_ignore=avg_non_ignore, loss_weight=0.4
        )

        def actual(x, criterion=criterion, align_corners=align_corners):
            return criterion(x, label, ignore_index=IGNORED, align_corners=align_corners)

        assert_as_close(gradient_of(actual, logits), gradient_of(expected, logits), dtype)


@pytest.mark.parametrize(
    'kwargs',
    [
        {},
        {'avg_non_ignore': True},
        {'class_weight': [0.5, 1, 2, 1, 1, 3, 1]},
        {'reduction': 'sum'},
        {'reduction': 'none'},
    ],
)
def test_drops_in_for_the_stock_loss_on_upsampled_logits(kwargs):
    logits, label = case((16, 24), (16, 24))
    pixel_weight = torch.rand(label.shape)
    for weight in (None, pixel_weight):
        values = []
        for kind in (LeanCrossEntropyLoss, CrossEntropyLoss):
            criterion = kind(loss_weight=2.0, **kwargs)

            def loss(x, criterion=criterion, weight=weight):
                return criterion(x, label, weight=weight, ignore_index=IGNORED).sum()

            values.append(gradient_of(loss, logits))
        assert_as_close(*values, torch.float64)


def test_is_right_where_the_stock_loss_raises():
    logits, label = case((6, 6), (24, 24))
    weights = [0.5, 1, 2, 1, 1, 3, 1]
    kwargs = {'class_weight': weights, 'avg_non_ignore': True}
    with pytest.raises(IndexError):
        CrossEntropyLoss(**kwargs)(upsampled(logits, label, False), label, ignore_index=IGNORED)
    expected = F.cross_entropy(
        upsampled(logits, label, False), label, torch.tensor(weights).double(), ignore_index=IGNORED
    )
    actual = LeanCrossEntropyLoss(**kwargs)(logits, label, ignore_index=IGNORED)
    torch.testing.assert_close(actual, expected, rtol=1e-7, atol=0)


def test_batch_without_labels_has_no_loss_and_no_gradient():
    logits, label = case((4, 4), (16, 16))
    label.fill_(IGNORED)
    loss, gradient = gradient_of(
        lambda x: LeanCrossEntropyLoss(avg_non_ignore=True)(x, label, ignore_index=IGNORED), logits
    )
    assert loss == 0
    assert not gradient.any()


def test_keeps_no_gradient_without_need():
    logits, label = case((4, 4), (16, 16))
    criterion = LeanCrossEntropyLoss()
    expected = criterion(logits.requires_grad_(), label, ignore_index=IGNORED)
    with torch.no_grad():
        assert not criterion(logits, label, ignore_index=IGNORED).requires_grad
    torch.testing.assert_close(criterion(logits.detach(), label, ignore_index=IGNORED), expected.detach())


def test_computes_in_float32_under_autocast_and_scales_the_gradient():
    logits, label = case((8, 8), (32, 32), torch.float32)
    logits = logits.bfloat16()
    expected = gradient_of(lambda x: LeanCrossEntropyLoss()(x, label, ignore_index=IGNORED), logits.float())
    low = logits.clone().requires_grad_()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = LeanCrossEntropyLoss()(low, label, ignore_index=IGNORED)
    (loss * 2**16).backward()
    assert loss.dtype == torch.float32
    assert low.grad.dtype == torch.bfloat16
    torch.testing.assert_close(loss.detach(), expected[0])
    torch.testing.assert_close(low.grad, (expected[1] * 2**16).bfloat16())


def test_second_derivative_is_refused():
    logits, label = case((4, 4), (16, 16))
    loss = LeanCrossEntropyLoss()(logits.requires_grad_(), label, ignore_index=IGNORED)
    with pytest.raises(RuntimeError, match='second derivative'):
        torch.autograd.grad(loss, logits, create_graph=True)


@pytest.mark.parametrize('option', ['use_sigmoid', 'use_mask'])
def test_refuses_what_is_no_softmax(option):
    with pytest.raises(ConfigError, match=option):
        LeanCrossEntropyLoss(**{option: True})


def test_peak_is_a_quarter_of_the_stock_loss(monkeypatch):
    monkeypatch.undo()  # the strips of real use

    def peak(compute):
        with FakeTensorMode(), StorageTracker() as tracker:
            logits = torch.empty(4, 19, 64, 128, requires_grad=True)
            label = torch.empty(4, 512, 1024, dtype=torch.long)
            start = tracker.live
            compute(logits, label).backward()
            return tracker.peak - start

    def stock_loss(logits, label):
        logits = upsampled(logits, label, False)
        loss = CrossEntropyLoss()(logits, label, ignore_index=IGNORED)
        accuracy(logits, label)
        return loss

    expected = peak(stock_loss)
    assert expected > 3 * 4 * 19 * 512 * 1024 * 4
    assert peak(lambda x, y: LeanCrossEntropyLoss()(x, y, ignore_index=IGNORED)) < expected / 4
