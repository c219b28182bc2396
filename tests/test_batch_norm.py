import pytest
import torch
from torch import nn

from infopro_seg.batch_norm import batch_norm_needs_two
from infopro_seg.errors import ConfigError


@batch_norm_needs_two()
def pooled(batch):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3))(torch.ones(batch, 3, 4, 4))


@batch_norm_needs_two()
def wrapped():
    try:
        nn.BatchNorm1d(2)(torch.ones(1, 2))
    except ValueError as error:
        raise RuntimeError('the training has ended') from error


@batch_norm_needs_two()
def other():
    raise ValueError('something else')


def test_a_single_value_per_channel_is_answered_with_the_remedy():
    assert pooled(2).shape == (2, 3, 1, 1)
    with pytest.raises(ConfigError, match=r'one crop .*\[1, 3, 1, 1\].*use batch_size=2 or more'):
        pooled(1)


def test_the_cause_is_found_behind_another_error():
    with pytest.raises(ConfigError, match=r'one crop .*\[1, 2\]'):
        wrapped()


def test_a_remedy_is_told_once():
    with pytest.raises(ConfigError) as caught, batch_norm_needs_two():
        pooled(1)
    assert str(caught.value).count('use batch_size=2') == 1


def test_other_errors_are_left_alone():
    with pytest.raises(ValueError, match='something else'):
        other()
