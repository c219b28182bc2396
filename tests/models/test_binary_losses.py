"""Heads with one output channel and a sigmoid, against PyTorch's own binary cross-entropy."""

import pytest
import torch
import torch.nn.functional as F
from mmengine import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from infopro_seg.errors import ConfigError, DataError
from infopro_seg.memory import trace_step
from infopro_seg.models import head_losses
from infopro_seg.models.losses.lean_loss import LeanCrossEntropyLoss
from tests.stand_ins import SIZE, head_config, model_config

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


@pytest.mark.parametrize('class_weight', [None, [3.0]])
@pytest.mark.parametrize('reduction', ['mean', 'sum'])
@pytest.mark.parametrize('avg_non_ignore', [True, False])
def test_the_loss_equals_mmseg_s(head, avg_non_ignore, reduction, class_weight):
    loss = {**SIGMOID, 'avg_non_ignore': avg_non_ignore, 'reduction': reduction, 'class_weight': class_weight}
    head.loss_decode = MODELS.build(loss)
    feature, labels = torch.randn(2, 3, 8, 8), torch.randint(0, 2, (2, 16, 16))
    labels[:, :3] = 255
    expected = head.loss([feature], samples(*labels), None)['loss_ce']
    torch.testing.assert_close(head_losses(head, [feature], samples(*labels))['loss_ce'], expected)


def test_losses_of_one_name_are_added(head):
    head.loss_decode = torch.nn.ModuleList([MODELS.build(SIGMOID)] * 2)
    feature, labels = torch.randn(2, 3, 8, 8), torch.randint(0, 2, (2, 16, 16))
    twice = head_losses(head, [feature], samples(*labels))['loss_ce']
    head.loss_decode = MODELS.build(SIGMOID)
    torch.testing.assert_close(twice, 2 * head_losses(head, [feature], samples(*labels))['loss_ce'])


def test_a_third_class_is_named(head):
    labels = torch.zeros(2, 16, 16, dtype=torch.long)
    labels[0, 0, 0] = 2
    with pytest.raises(DataError, match='contain the id 2'):
        head_losses(head, [torch.randn(2, 3, 8, 8)], samples(*labels))


def test_memory_is_planned_for_one_channel():
    binary = {'num_classes': 2, 'out_channels': 1, 'loss_decode': SIGMOID}
    config = model_config(())
    config['decode_head'].update(binary)
    config['auxiliary_head'] = None
    assert trace_step(ConfigDict(config), 2, SIZE).peak > 0


@pytest.mark.parametrize('count', [2, 4])
def test_class_weights_of_another_number_are_named(count):
    loss = LeanCrossEntropyLoss(class_weight=[1.0] * count, avg_non_ignore=True)
    with pytest.raises(ConfigError, match=f'{count} weights for 3 classes'):
        loss(torch.randn(1, 3, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long), ignore_index=255)


def test_a_local_head_with_one_channel_trains_its_module():
    auxiliary = head_config(num_classes=2, out_channels=1, threshold=0.5, loss_decode=SIGMOID)
    local = MODELS.build({'type': 'InfoProHead', 'in_channels': 3, 'stride': 2, 'auxiliary_head': auxiliary})
    feature = torch.randn(2, 3, 8, 8, requires_grad=True)
    losses = local.loss(feature, torch.rand(2, 3, 16, 16), samples(*torch.randint(0, 2, (2, 16, 16))))
    losses['loss_ce'].backward()
    assert set(losses) == {'loss_ce', 'acc_seg'}
    assert feature.grad.abs().sum() > 0
