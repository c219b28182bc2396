"""The numbers of validations, as JSON shows them."""

import math

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub

from infopro_seg.evaluation.validations import add_validation, plain_number, validations


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        (np.float32(49.18), 49.18),
        (np.float64(1 / 3), 1 / 3),
        (1 / 3, 1 / 3),
        (torch.tensor(0.5), 0.5),
        (3, 3.0),
    ],
)
def test_a_number_is_what_was_rounded(value, expected):
    assert plain_number(value) == expected
    assert math.isnan(plain_number(np.float32('nan')))


def test_every_validation_is_kept_in_order_and_a_repeated_one_replaces_the_first():
    hub = MessageHub('test_validations')
    for step, value in ((30, 1.5), (20, 0.25), (30, 2.5)):
        add_validation(hub, step, {'mIoU': np.float32(value), 'name': 'no number'})
    assert list(validations(hub).items()) == [('20', {'mIoU': 0.25}), ('30', {'mIoU': 2.5})]
