"""What a segmentor infers from its config, and which configs it refuses."""

import pytest

from infopro_seg.errors import ConfigError
from tests.stand_ins import (
    CUTS,
    build,
    encoder_config,
    head_config,
    local_head_config,
    model_config,
    upernet_config,
)


def test_in_channels_of_all_heads_are_inferred():
    heads = [head_config(in_index=0), head_config(in_index=2)]
    model = build(model_config(decode_head=upernet_config((1, 3)), auxiliary_head=heads))
    assert model.decode_head.in_channels == [16, 64]
    assert [head.in_channels for head in model.auxiliary_head] == [8, 32]


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'backbone': encoder_config()}, ['InfoProBackbone', 'ResNetV1c', 'wrap it', 'stock EncoderDecoder']),
        (
            {'decode_head': head_config(in_index=7)},
            ['decode_head.in_index=7', '4 feature maps', 'out_indices'],
        ),
        (
            {'decode_head': head_config(in_channels=9)},
            ['decode_head.in_channels=9', '64', 'leave in_channels out'],
        ),
        ({'auxiliary_head': head_config(in_index=-5)}, ['auxiliary_head.in_index=-5', 'choose from 0 to 3']),
        (
            {'auxiliary_head': [head_config(in_index=0), head_config(in_index=1, in_channels=3)]},
            ['auxiliary_head[1].in_channels=3', '16', 'leave in_channels out'],
        ),
    ],
    ids=['stock backbone', 'in_index', 'in_channels', 'auxiliary in_index', 'listed auxiliary head'],
)
def test_bad_configs_are_refused_with_cause_value_and_remedy(change, words):
    with pytest.raises(ConfigError) as caught:
        build(model_config(**change))
    for word in words:
        assert word in str(caught.value)


def test_a_cut_that_no_local_head_follows_is_refused():
    with pytest.raises(ConfigError, match='need local heads; give the backbone a local_head'):
        build(model_config(CUTS, local_head=None))


def test_one_config_of_local_heads_serves_encoders_of_any_width():
    wide = encoder_config(base_channels=16, stem_channels=16)
    model = build(model_config(CUTS, encoder=wide, local_head=local_head_config()))
    assert [head.decoder.convs[0].in_channels for head in model.backbone.local_heads] == [32, 64]
    assert model.decode_head.in_channels == 128
