"""Heads and necks that do not fit the encoder."""

import pytest

from infopro_seg.errors import ConfigError
from tests.models.test_heads import CASCADE, FPN, concatenated
from tests.stand_ins import build, deeplabv3plus_config, encoder_config, head_config, model_config


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'decode_head': head_config(in_index=[0, 1])}, ['decode_head', 'in_index=[0, 1]', 'resize_concat']),
        ({'decode_head': head_config(type='SegformerHead', in_index=3)}, ['decode_head', 'lists them']),
        ({'decode_head': concatenated((0, 9))}, ['decode_head.in_index=(0, 9)', 'choose from 0 to 3']),
        ({'decode_head': concatenated() | {'in_channels': [8, 16, 32, 65]}}, ['65', 'leave in_channels out']),
        ({'decode_head': deeplabv3plus_config() | {'c1_in_channels': 9}}, ['c1_in_channels=9', '8 channels']),
        (
            {'neck': FPN | {'in_channels': [8, 16, 32, 65]}},
            ['neck.in_channels=[8, 16, 32, 65]', '[8, 16, 32, 64]', 'leave in_channels out'],
        ),
        (
            {'neck': FPN, 'decode_head': head_config(in_index=0, in_channels=64)},
            ['decode_head.in_channels=64', 'of the neck have 6'],
        ),
        ({'neck': FPN, 'decode_head': head_config(in_index=4)}, ['the neck returns 4', 'num_outs']),
        (
            CASCADE | {'decode_head': head_config(in_index=3)},
            ['no list', 'num_stages=2', 'InfoProEncoderDecoder'],
        ),
        (CASCADE | {'decode_head': [head_config(in_index=3)]}, ['a list of 1', 'num_stages=2']),
        (
            CASCADE | {'decode_head': [head_config(in_index=3), head_config(type='OCRHead', in_channels=7)]},
            ['decode_head[1].in_channels=7'],
        ),
        (
            CASCADE | {'backbone': encoder_config(), 'decode_head': [head_config()] * 2},
            ['InfoProCascade', 'the stock CascadeEncoderDecoder'],
        ),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[0],
)
def test_heads_that_do_not_fit_are_refused_with_cause_value_and_remedy(change, words):
    with pytest.raises(ConfigError) as caught:
        build(model_config(**change))
    for word in words:
        assert word in str(caught.value)


def test_what_an_assertion_says_itself_is_not_followed_by_other_advice():
    loss = {'type': 'LovaszLoss', 'loss_type': 'multi_class'}
    with pytest.raises(
        ConfigError, match=r"decode_head cannot be built: .*'none' when per_image is False"
    ) as caught:
        build(model_config(decode_head=head_config(loss_decode=loss)))
    assert 'resize_concat' not in str(caught.value)
