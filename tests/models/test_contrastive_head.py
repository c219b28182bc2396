import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from infopro_seg.errors import ConfigError
from infopro_seg.models.local_heads.contrastive_head import (
    ContrastiveHead,
    draw_pixels,
    supervised_contrastive_loss,
)
from tests.stand_ins import assert_same, jitter

TAU = 0.2


def by_pixels(vectors, labels, valid, temperature=TAU):
    """-log softmax of each pair of one class, its mean over the pairs of a pixel, and over these pixels."""
    vectors, labels = vectors[valid], labels[valid]
    means = []
    for i, (vector, label) in enumerate(zip(vectors, labels, strict=True)):
        others = torch.arange(len(labels)) != i
        scores = (vectors[others] * vector).sum(1) / temperature
        terms = (scores.exp().sum().log() - scores)[labels[others] == label]
        if len(terms):
            means.append(terms.mean())
    return sum(means) / len(means)


def samples(labels):
    return [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]


def head(**kwargs):
    config = {'channels': 6, 'num_classes': 3, 'out_channels': 4, 'temperature': TAU, **kwargs}
    return jitter(ContrastiveHead(5, **config)).double()


def test_the_loss_is_that_of_each_pixel_and_the_others_of_its_class():
    vectors = F.normalize(torch.randn(12, 4, dtype=torch.double)).requires_grad_()
    labels = torch.tensor([0, 1, 2, 0, 1, 1, 0, 2, 0, 1, 3, 2])  # a class with a single pixel as well
    valid = torch.tensor([True] * 9 + [False] + [True] * 2)
    ours, theirs = supervised_contrastive_loss(vectors, labels, valid, TAU), by_pixels(vectors, labels, valid)
    assert_same(ours, theirs, rtol=1e-12, atol=0)
    gradients = (torch.autograd.grad(loss, vectors) for loss in (ours, theirs))
    assert_same(*gradients, rtol=1e-10, atol=1e-14)


def test_vectors_of_one_class_that_agree_cost_the_logarithm_of_their_number():
    vectors = F.normalize(torch.ones(7, 4, dtype=torch.double))
    loss = supervised_contrastive_loss(vectors, torch.zeros(7), torch.ones(7, dtype=torch.bool), TAU)
    assert loss.item() == pytest.approx(math.log(6))


@pytest.mark.parametrize(
    'valid', [[False] * 4, [True, False, False, False], [True, True, False, False]], ids=sum
)
def test_without_a_pair_of_one_class_loss_and_gradients_are_zero(valid):
    vectors = F.normalize(torch.randn(4, 3)).requires_grad_()
    loss = supervised_contrastive_loss(vectors, torch.arange(4), torch.tensor(valid), TAU)
    loss.backward()
    assert loss.item() == 0
    assert_same(vectors.grad, torch.zeros(4, 3))


@pytest.mark.parametrize('per_class', [1, 3, 50])
def test_as_many_pixels_of_each_class_are_drawn_without_repetition(per_class):
    labels = torch.tensor([0] * 20 + [1] * 2 + [3] * 9 + [-1] * 6)[torch.randperm(37)]
    drawn, valid = draw_pixels(labels, 4, per_class)
    kept = drawn[valid]
    assert len(kept.unique()) == len(kept)
    found = torch.bincount(labels[kept] + 1, minlength=5).tolist()  # of -1 and of each class
    assert found == [0, *(min(per_class, count) for count in (20, 2, 0, 9))]


def test_pixels_are_drawn_anew_each_time():
    labels = torch.zeros(1000, dtype=torch.long)
    first, second = (draw_pixels(labels, 1, 10)[0] for _ in range(2))
    assert sorted(first.tolist()) != sorted(second.tolist())


def test_a_head_that_draws_every_pixel_contrasts_the_whole_batch():
    """Features at half the labels' resolution: each pixel takes the label at its upper left corner."""
    contrastive = head(pixels_per_class=100, loss_weight=0.7)
    feature = torch.randn(2, 5, 3, 4, dtype=torch.double, requires_grad=True)
    labels = torch.randint(0, 3, (2, 6, 8))
    labels[0, :2] = 255
    loss = contrastive.loss([feature], samples(labels))['loss_contrast']
    conv, projection = contrastive.convs[0], contrastive.projection
    hidden = F.conv2d(feature, conv.conv.weight, padding=1)
    hidden = F.batch_norm(hidden, None, None, conv.bn.weight, conv.bn.bias, training=True).relu()
    projected = F.conv2d(hidden, projection.weight, projection.bias)
    vectors = (projected / projected.norm(dim=1, keepdim=True)).permute(0, 2, 3, 1).reshape(-1, 4)
    coarse = labels[:, ::2, ::2].reshape(-1)
    expected = 0.7 * by_pixels(vectors, coarse, coarse != 255)
    assert_same(loss, expected, rtol=1e-10, atol=0)
    gradients = (torch.autograd.grad(of, feature, retain_graph=True) for of in (loss, expected))
    assert_same(*gradients, rtol=1e-8, atol=1e-12)


def test_ignored_pixels_have_no_part_in_the_loss():
    contrastive = head(num_convs=0, pixels_per_class=5)
    feature = torch.randn(1, 5, 4, 8, dtype=torch.double, requires_grad=True)
    labels = torch.randint(0, 3, (1, 4, 8))
    labels[:, 1::2] = 255
    contrastive.loss([feature], samples(labels))['loss_contrast'].backward()
    assert (feature.grad[:, :, 1::2] == 0).all()
    assert (feature.grad[:, :, ::2] != 0).any()


@pytest.mark.parametrize(
    'labels',
    [torch.full((1, 4, 8), 255), torch.full((1, 4, 8), 2), torch.full((2, 4, 8), 0)],
    ids=['no valid pixel', 'one class, batch 1', 'one class, batch 2'],
)
def test_poor_batches_give_finite_losses_and_gradients(labels):
    local_head = MODELS.build(
        {
            'type': 'InfoProHead',
            'in_channels': 5,
            'auxiliary_head': {'type': 'ContrastiveHead', 'channels': 6, 'num_classes': 3},
        }
    )
    feature = torch.randn(len(labels), 5, 4, 8, requires_grad=True)
    image = torch.rand(len(labels), 3, 4, 8)
    [loss] = local_head.loss(feature, image, samples(labels)).values()
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad.isfinite().all() for p in [feature, *local_head.parameters()])


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_similarities_are_taken_in_single_precision_under_autocast(dtype):
    contrastive = head(num_convs=0, pixels_per_class=100).float()
    feature = torch.randn(1, 5, 4, 8).to(dtype)
    labels = samples(torch.randint(0, 3, (1, 4, 8)))
    with torch.autocast('cpu', dtype):
        loss = contrastive.loss([feature], labels)['loss_contrast']
        vectors = contrastive([feature])
    flat = vectors.permute(0, 2, 3, 1).reshape(-1, 4)
    classes = labels[0].gt_sem_seg.data.reshape(-1)
    expected = by_pixels(flat.double(), classes, classes >= 0)
    assert loss.dtype == torch.float32
    assert_same(loss, expected.float(), rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ('option', 'words'),
    [
        ({'temperature': 0}, 'temperature=0 .* give e.g. 0.07'),
        ({'pixels_per_class': 1}, 'pixels_per_class=1 .* no pair of one class.* 2 or more'),
    ],
    ids=str,
)
def test_what_could_not_learn_is_refused(option, words):
    with pytest.raises(ConfigError, match=words):
        head(**option)
