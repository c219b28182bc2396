"""The losses of heads that use the lean loss are those of the heads themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from infopro_seg.models import head_losses
from tests.models.test_lean_loss import CLASSES, case


def head_config(loss: Any, **kwargs: Any) -> dict[str, Any]:
    config = {'type': 'FCNHead', 'in_channels': 6, 'channels': 4, 'num_convs': 1, 'concat_input': False}
    return config | {'num_classes': CLASSES, 'dropout_ratio': 0.0, 'loss_decode': loss} | kwargs


def lean(**kwargs: Any) -> dict[str, Any]:
    return {'type': 'LeanCrossEntropyLoss', **kwargs}


def stock(config: Any) -> Any:
    if isinstance(config, list):
        return [stock(item) for item in config]
    return {**config, 'type': config['type'].removeprefix('Lean')}


HEADS = {
    'plain': head_config(lean(loss_weight=0.4)),
    'two losses': head_config([lean(), lean(avg_non_ignore=True, loss_weight=0.5)]),
    'two names': head_config([lean(), lean(loss_name='loss_weighted', class_weight=[1.0, 2, 1, 1, 1, 1, 3])]),
    'align_corners': head_config(lean(avg_non_ignore=True), align_corners=True),
    'mixed with dice': head_config([lean(), {'type': 'DiceLoss', 'loss_name': 'loss_dice'}]),
    'sampler': head_config(lean(), sampler={'type': 'OHEMPixelSampler', 'thresh': 0.7, 'min_kept': 50}),
    'own loss_by_feat': {
        **head_config(lean(), type='EncHead', num_codes=4, in_channels=[6], in_index=[0]),
        'loss_se_decode': {'type': 'CrossEntropyLoss', 'use_sigmoid': True, 'loss_weight': 0.2},
    },
}


@pytest.mark.parametrize('name', HEADS)
def test_head_losses_equal_the_head_s_own(name):
    config = HEADS[name]
    if name == 'own loss_by_feat':
        for key in ('num_convs', 'concat_input'):
            config.pop(key, None)
    ours, theirs = (
        MODELS.build(dict(c)).double()
        for c in (config, {**config, 'loss_decode': stock(config['loss_decode'])})
    )
    theirs.load_state_dict(ours.state_dict())
    feature = torch.randn(2, 6, 8, 12, dtype=torch.float64)
    samples = []
    for label in case((1, 1), (32, 48))[1]:
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=label[None])))
    found, expected = head_losses(ours, [feature], samples), theirs.loss([feature], samples, None)
    assert list(found) == list(expected)
    for key, value in expected.items():
        torch.testing.assert_close(found[key].double(), value.double(), rtol=1e-6, atol=1e-9)
        assert found[key].shape == value.shape
    for losses in (found, expected):
        sum(value for key, value in losses.items() if 'loss' in key).backward()
    for actual, wanted in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(actual.grad, wanted.grad, rtol=1e-8, atol=1e-12)
