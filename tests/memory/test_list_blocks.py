from pathlib import Path

import pytest

from infopro_seg.config_edits import encoder_of
from infopro_seg.errors import ConfigError, UserError
from infopro_seg.memory.tracing.list_blocks import block_rows, list_blocks
from infopro_seg.memory.tracing.training_setup import TrainingSetup
from infopro_seg.models import iter_blocks
from infopro_seg.models.encoder import build_encoder
from tests.models.encoder_list import hrnet, swin
from tests.stand_ins import encoder_config

CONFIG = Path(__file__).parents[2] / 'configs' / 'deeplabv3_infopro_cityscapes.py'
SETUP = TrainingSetup(2, (64, 128))


def test_rows_are_the_blocks_with_their_parameters_and_outputs():
    rows = block_rows(encoder_config(out_indices=(1, 3)), SETUP)
    blocks = list(iter_blocks(build_encoder(encoder_config(out_indices=(1, 3)))))
    assert [row.name for row in rows] == [block.name for block in blocks]
    assert [row.parameters for row in rows] == [sum(p.numel() for p in block.owned) for block in blocks]
    assert {row.name: row.outputs for row in rows if row.outputs} == {'layer2.1': (0,), 'layer4.1': (1,)}
    assert [rows[index].feature for index in (0, 1, 3, 8)] == [
        (8, 16, 32),
        (8, 16, 32),
        (16, 8, 16),
        (64, 2, 4),
    ]


def test_features_are_maps_of_tokens_and_of_all_branches():
    assert block_rows(swin(), SETUP)[0].feature == (8, 16, 32)
    last = block_rows(hrnet(), SETUP)[-1]
    assert (last.feature, last.outputs) == ((2 + 4 + 8 + 16, 16, 32), (0, 1, 2, 3))


def test_bytes_and_flops_are_those_of_a_residual_block_counted_by_hand():
    row = {row.name: row for row in block_rows(encoder_config(), SETUP)}['layer1.1']
    maps = 2 * 8 * 16 * 32
    # two convolutions' outputs, and what follows each norm and the sum: ReLUs work in place
    assert row.kept == 4 * 4 * maps + 4 * 512  # and mean and deviation of two norms, rounded up
    assert row.flops == 2 * 2 * maps * 8 * 9


def test_a_stock_backbone_is_listed_too():
    assert encoder_of({'model': {'backbone': {'type': 'ResNet'}}}) == ({'type': 'ResNet'}, ())
    with pytest.raises(ConfigError, match='no model\\.backbone'):
        encoder_of({'model': {}})
    with pytest.raises(ConfigError, match='is not a config'):
        encoder_of({'model': {'backbone': {'encoder': 'ResNet'}}})


def test_the_command_takes_batch_crop_and_options(capsys):
    options = {'model.backbone.encoder': {'type': 'MobileNetV2', '_delete_': True}}
    options['model.backbone.cuts'] = ('layer3.0',)
    list_blocks(CONFIG, 1, (32, 64), options)
    shown = capsys.readouterr().out
    assert '18 blocks of MobileNetV2: batch 1, crop 32x64' in shown
    lines = shown.splitlines()
    cut = next(index for index, line in enumerate(lines) if 'layer3.0' in line)
    assert lines[cut + 1].startswith('├')
    with pytest.raises(UserError, match='--batch and --crop'):
        list_blocks(CONFIG, 0)
