import pytest

from infopro_seg.errors import ConfigError
from infopro_seg.models.channels import infer_in_channels

CHANNELS = (8, 16, 32, 64)


@pytest.mark.parametrize(
    ('head', 'expected'),
    [
        ({}, 64),
        ({'in_index': 1}, 16),
        ({'in_index': -4}, 8),
        ({'in_index': (0, 3)}, [8, 64]),
        ({'in_index': [3, 0]}, [64, 8]),
        ({'in_index': 2, 'in_channels': 32}, 32),
        ({'in_index': (1, 2), 'in_channels': (16, 32)}, [16, 32]),
    ],
)
def test_in_channels_are_those_of_the_feature_maps_that_in_index_names(head, expected):
    head = {'type': 'AnyHead', **head}
    given = dict(head)
    assert infer_in_channels(head, 'decode_head', CHANNELS) == {**given, 'in_channels': expected}
    assert head == given  # the config is not changed in place


@pytest.mark.parametrize(
    ('head', 'words'),
    [
        (
            {'in_index': 2, 'in_channels': 2048},
            ['aux.in_channels=2048', '2 of', '32', 'leave in_channels out'],
        ),
        (
            {'in_index': (0, 1), 'in_channels': (8, 8)},
            ['aux.in_channels=(8, 8)', '[8, 16]', 'leave in_channels'],
        ),
        ({'in_index': 0, 'in_channels': (8,)}, ['aux.in_channels=(8,)', 'leave in_channels out']),
        ({'in_index': 4}, ['aux.in_index=4', 'returns 4 feature maps', '0 to 3', 'out_indices']),
        ({'in_index': (0, 7)}, ['aux.in_index=(0, 7)', 'returns 4 feature maps', '0 to 3', 'out_indices']),
    ],
)
def test_channels_that_do_not_fit_are_refused_with_the_remedy(head, words):
    with pytest.raises(ConfigError) as caught:
        infer_in_channels(head, 'aux', CHANNELS)
    for word in words:
        assert word in str(caught.value)
