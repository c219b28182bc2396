"""Heads with one output channel and a sigmoid, against PyTorch's own binary cross-entropy."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from infopro_seg.errors import ConfigError
from infopro_seg.models import head_losses
from infopro_seg.models.lean_loss import LeanCrossEntropyLoss
from tests.stand_ins import head_config

SIGMOID = {'type': 'CrossEntropyLoss', 'use_sigmoid': True, 'avg_non_ignore': True, 'loss_weight': 0.7}


def samples(*labels):
    return [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]


@pytest.fixture
def head():
    config = head_config(num_classes=2, out_channels=1, threshold=0.6, loss_decode=SIGMOID, in_index=0)
    return MODELS.build({**config, 'in_channels': 3})


def test_loss_and_accuracy_are_those_of_the_second_class(head):
    feature, labels = torch.randn(2, 3, 8, 8), torch.randint(0, 2, (2, 16, 16))
    labels[:, :3] = 255
    losses = head_losses(head, [feature], samples(*labels))
    logits = F.interpolate(head([feature]), size=(16, 16), mode='bilinear').squeeze(1)
    valid = labels != 255
    expected = F.binary_cross_entropy_with_logits(logits[valid], labels[valid].float())
    torch.testing.assert_close(losses['loss_ce'], 0.7 * expected)
    right = (logits.sigmoid() > 0.6)[valid] == (labels[valid] == 1)
    torch.testing.assert_close(losses['acc_seg'], 100 * right.float().mean().view(1))


def test_a_batch_of_ignored_pixels_has_no_loss_and_no_gradient(head):
    labels = torch.full((2, 16, 16), 255)
    losses = head_losses(head, [torch.randn(2, 3, 8, 8)], samples(*labels))
    losses['loss_ce'].backward()
    assert losses['loss_ce'] == 0
    assert all((parameter.grad == 0).all() for parameter in head.parameters())


@pytest.mark.parametrize('count', [2, 4])
def test_class_weights_of_another_number_are_named(count):
    loss = LeanCrossEntropyLoss(class_weight=[1.0] * count, avg_non_ignore=True)
    with pytest.raises(ConfigError, match=f'{count} weights for 3 classes'):
        loss(torch.randn(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long), ignore_index=255)
