import sys
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS

from infopro_seg.errors import CheckpointError
from infopro_seg.models.encoder import build_encoder
from infopro_seg.models.pretrained import pretrained_of
from tests.stand_ins import assert_same, build, encoder_config, model_config

SCRATCH = '--cfg-options model.backbone.encoder.init_cfg=None'
OWN_FILE = '--cfg-options model.backbone.encoder.init_cfg.checkpoint=FILE, or model.pretrained=FILE'
SWIN = {
    'type': 'SwinTransformer',
    'embed_dims': 6,
    'depths': (1,) * 4,
    'num_heads': (1,) * 4,
    'window_size': 2,
}


def model_from(name, encoder=None):
    weights = {'type': 'Pretrained', 'checkpoint': str(name)}
    cuts = () if encoder else ('layer3.1',)
    return build(
        model_config(cuts, encoder={**(encoder or encoder_config()), 'init_cfg': weights}), double=False
    )


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network, and an empty cache."""

    def no_network(*args, **kwargs):
        raise URLError('no route to host')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', no_network)
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path))
    return tmp_path / 'checkpoints'


@pytest.mark.parametrize('encoder', [None, SWIN], ids=['ResNet', 'Swin'])
def test_a_file_gives_the_encoder_its_weights_and_leaves_the_local_heads(tmp_path, encoder):
    source = MODELS.build(encoder or encoder_config())
    with torch.no_grad():
        [p.normal_() for p in source.parameters()]
    torch.save({'state_dict': source.state_dict()}, tmp_path / 'encoder.pth')
    model = model_from(tmp_path / 'encoder.pth', encoder)
    model.init_weights()
    assert_same(dict(model.backbone.encoder.state_dict()), dict(source.state_dict()))


def test_a_cached_download_is_used_offline(offline):
    source = MODELS.build(encoder_config())
    offline.mkdir()
    torch.save({'state_dict': source.state_dict()}, offline / 'weights.pth')
    model = model_from('https://nowhere.invalid/weights.pth')
    model.init_weights()
    assert_same(dict(model.backbone.encoder.state_dict()), dict(source.state_dict()))


@pytest.mark.parametrize('encoder', [None, SWIN], ids=['ResNet', 'Swin'])
@pytest.mark.parametrize(
    ('name', 'file'),
    [
        ('https://nowhere.invalid/a/weights.pth', 'weights.pth'),
        ('open-mmlab://resnet101_v1c', 'resnet101_v1c-e67eebb6.pth'),
    ],
)
def test_offline_the_error_names_file_folder_and_remedies(offline, encoder, name, file):
    with pytest.raises(CheckpointError) as caught:
        model_from(name, encoder).init_weights()
    for word in (repr(name), 'no route to host', str(offline / file), OWN_FILE, SCRATCH):
        assert word in str(caught.value)


def test_a_missing_file_is_named_with_its_whole_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        model_from('pretrain/encoder.pth').init_weights()
    for word in (str(Path(tmp_path) / 'pretrain' / 'encoder.pth'), OWN_FILE, SCRATCH):
        assert word in str(caught.value)


def test_weights_of_torchvision_name_the_package_where_it_is_missing(offline, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torchvision', None)
    with pytest.raises(CheckpointError) as caught:
        model_from('torchvision://resnet50').init_weights()
    for word in ("'torchvision://resnet50'", 'pip install "torchvision==0.', str(offline), OWN_FILE, SCRATCH):
        assert word in str(caught.value)


def test_an_unknown_name_is_answered_with_similar_ones():
    with pytest.raises(CheckpointError) as caught:
        model_from('open-mmlab://resnet101_v1').init_weights()
    for word in ("'open-mmlab://resnet101_v1'", 'open-mmlab://resnet101_v1c', SCRATCH):
        assert word in str(caught.value)


def test_other_errors_of_an_initialisation_stay_what_they_are(monkeypatch):
    model = build(model_config(), double=False)
    monkeypatch.setattr(type(model.backbone.encoder), 'init_weights', lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.init_weights()
    assert pretrained_of(model.backbone.encoder) is None


@MODELS.register_module()
class OfflineTIMM(BaseModule):
    """Stands for timm's encoders, which download while they are built."""

    def __init__(self, model_name, pretrained=False):
        super().__init__()
        if pretrained:
            raise OSError('cannot reach huggingface.co')


def test_timm_offline_is_explained():
    build_encoder({'type': 'OfflineTIMM', 'model_name': 'resnet18'})
    with pytest.raises(CheckpointError) as caught:
        build_encoder({'type': 'OfflineTIMM', 'model_name': 'resnet18', 'pretrained': True})
    for word in (
        'timm.resnet18',
        'huggingface.co',
        'HF_HOME',
        'checkpoint_path=FILE',
        'encoder.pretrained=False',
    ):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ('pretrained', 'init', 'expected'),
    [('own.pth', {}, 'own.pth'), ('open-mmlab://resnet50_v1c', {'init_cfg': None}, None)],
    ids=['a file', 'from scratch'],
)
def test_what_the_message_proposes_works_for_a_config_with_the_older_key(pretrained, init, expected):
    config = model_config(encoder={**encoder_config(), **init})
    assert pretrained_of(MODELS.build({**config, 'pretrained': pretrained}).backbone.encoder) == expected
