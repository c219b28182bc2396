"""Losses that do not fit the classes of their head, found in the config."""

import json

import numpy as np
import pytest
import torch

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.checks.head_losses import require_losses
from infopro_seg.errors import ConfigError

SIGMOID = {'type': 'CrossEntropyLoss', 'use_sigmoid': True}


def model(num_classes=3, **head):
    decode_head = {'type': 'FCNHead', 'num_classes': num_classes, **head}
    return {
        'type': 'InfoProEncoderDecoder',
        'backbone': {'encoder': {'type': 'ResNet', 'num_classes': 1}, 'local_head': {'type': 'InfoProHead'}},
        'decode_head': [{'type': 'FCNHead', 'num_classes': 3}, decode_head],
    }


@pytest.mark.parametrize('kind', ['CrossEntropyLoss', 'LeanCrossEntropyLoss', 'DiceLoss', 'LovaszLoss'])
@pytest.mark.parametrize('count', [2, 4])
def test_class_weights_of_another_number_than_classes_are_refused(kind, count):
    require_losses(model(loss_decode={'type': kind, 'class_weight': [1.0] * 3}))
    for losses in (
        {'type': kind, 'class_weight': [1.0] * count},
        [SIGMOID, {'type': kind, 'class_weight': [1] * count}],
    ):
        with pytest.raises(
            ConfigError, match=rf'{kind} of model\.decode_head\[1\] has {count} weights.* 3 output'
        ):
            require_losses(model(loss_decode=losses))


@pytest.mark.parametrize(
    'weights', [[1, float('nan'), 1], [1, float('inf'), 1], [1, -1, 1], [0, 0, 0], [1, '1', 1]]
)
def test_class_weights_are_numbers_of_0_or_more(weights):
    loss = {'type': 'CrossEntropyLoss', 'class_weight': weights}
    with pytest.raises(
        ConfigError, match=r'class_weight=.* of model\.decode_head\[1\]; write numbers of 0 or more'
    ):
        require_losses(model(loss_decode=loss))
    require_losses(model(loss_decode={**loss, 'class_weight': [0, 1, 2.5]}))
    require_losses(model(loss_decode={**loss, 'class_weight': list(np.float32([0, 1, 2.5]))}))


def test_a_head_without_a_loss_that_is_trained_is_refused():
    loss = {'type': 'CrossEntropyLoss', 'loss_name': 'ce'}
    with pytest.raises(ConfigError, match=r"loss_name='ce' of .*; write loss_name='loss_ce'"):
        require_losses(model(loss_decode=loss))
    require_losses(model(loss_decode=loss), trains=False)
    require_losses(model(loss_decode=[loss, {'type': 'DiceLoss'}]))  # one that is only logged


def test_the_focal_loss_needs_a_gpu(monkeypatch):
    for loss in ({'type': 'FocalLoss'}, [SIGMOID, {'type': 'FocalLoss', 'use_sigmoid': True}]):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
        with pytest.raises(ConfigError, match=r'FocalLoss of model\.decode_head\[1\] does not work on a CPU'):
            require_losses(model(loss_decode=loss))
        require_losses(model(loss_decode=loss), trains=False)
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
        require_losses(model(loss_decode=loss))


def test_class_weights_in_a_file_are_counted(tmp_path):
    path = tmp_path / 'weights.json'
    loss = {'type': 'CrossEntropyLoss', 'class_weight': str(path)}
    with pytest.raises(ConfigError, match='cannot read class_weight'):
        require_losses(model(loss_decode=loss))
    path.write_text(json.dumps([1, 2]))
    with pytest.raises(ConfigError, match='2 weights'):
        require_losses(model(loss_decode=loss))
    path.write_text(json.dumps([1, 2, 3]))
    require_losses(model(loss_decode=loss))


@pytest.mark.parametrize(
    ('head', 'good'),
    [
        ({'num_classes': 2, 'out_channels': 1, 'loss_decode': SIGMOID}, True),
        ({'num_classes': 2, 'out_channels': 1, 'loss_decode': {**SIGMOID, 'class_weight': [3.0]}}, True),
        (
            {
                'num_classes': 2,
                'out_channels': 1,
                'loss_decode': {'type': 'LovaszLoss', 'loss_type': 'binary'},
            },
            True,
        ),
        ({'num_classes': 2, 'out_channels': 1}, False),
        ({'num_classes': 1}, False),
        ({'num_classes': 2, 'out_channels': 1, 'loss_decode': {'type': 'LeanCrossEntropyLoss'}}, False),
        ({'num_classes': 2, 'out_channels': 1, 'loss_decode': [SIGMOID, {'type': 'DiceLoss'}]}, False),
        ({'num_classes': 2}, True),
    ],
)
def test_one_channel_needs_a_loss_for_one(head, good):
    if good:
        require_losses(model(**head))
        return
    with pytest.raises(ConfigError, match=r'decode_head\[1\] has one output channel.*use_sigmoid=True'):
        require_losses(model(**head))


def test_heads_that_are_no_classifiers_are_left_alone():
    require_losses({'auxiliary_head': {'type': 'ContrastiveHead', 'num_classes': 3, 'out_channels': 1}})
