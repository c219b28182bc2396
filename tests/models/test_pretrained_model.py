"""Pretrained weights of a whole model or of a head: what is wrong with them is said before training."""

import pytest
import torch

from infopro_seg.errors import CheckpointError
from tests.stand_ins import assert_same, build, model_config


def weights_of(path):
    return {'type': 'Pretrained', 'checkpoint': str(path)}


def test_a_model_starts_from_a_file(tmp_path):
    source = build(model_config(), double=False)
    source.init_weights()
    torch.save({'state_dict': source.state_dict()}, tmp_path / 'model.pth')
    model = build(model_config(init_cfg=weights_of(tmp_path / 'model.pth')), double=False)
    model.init_weights()
    assert_same(dict(model.state_dict()), dict(source.state_dict()))


def test_a_missing_file_of_the_model_is_named(tmp_path):
    model = build(model_config(init_cfg=weights_of(tmp_path / 'model.pth')), double=False)
    with pytest.raises(CheckpointError) as caught:
        model.init_weights()
    for word in (str(tmp_path / 'model.pth'), 'of the model', '--cfg-options model.init_cfg=None'):
        assert word in str(caught.value)


def test_weights_of_another_model_are_refused(tmp_path):
    torch.save({'state_dict': {'conv.weight': torch.zeros(3)}}, tmp_path / 'other.pth')
    model = build(model_config(init_cfg=weights_of(tmp_path / 'other.pth')), double=False)
    with pytest.raises(CheckpointError, match=r'share no weight with the model .*conv\.weight') as caught:
        model.init_weights()
    assert 'prefix' not in str(caught.value)


def test_a_head_starts_from_a_file_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    source = build(model_config(), double=False).decode_head
    torch.save({'state_dict': source.state_dict()}, tmp_path / 'head.pth')
    config = model_config()
    config['decode_head']['init_cfg'] = weights_of('~/head.pth')
    model = build(config, double=False)
    model.init_weights()
    assert_same(dict(model.decode_head.state_dict()), dict(source.state_dict()))


def test_a_missing_file_of_a_head_is_named(tmp_path):
    config = model_config()
    config['decode_head']['init_cfg'] = weights_of(tmp_path / 'head.pth')
    with pytest.raises(CheckpointError) as caught:
        build(config, double=False).init_weights()
    for word in (str(tmp_path / 'head.pth'), '--cfg-options model.decode_head.init_cfg=None'):
        assert word in str(caught.value)
