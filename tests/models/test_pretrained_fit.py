"""Pretrained weights that fit an encoder, in part or not at all: encoders of mmseg, mmpretrain and timm."""

import re

import pytest
import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS

from infopro_seg.errors import CheckpointError
from infopro_seg.models import pretrained_fit
from infopro_seg.models.encoder import build_encoder
from infopro_seg.models.pretrained import pretrained_errors
from tests.models.encoder_list import convnext, is_missing, mit, swin, timm
from tests.stand_ins import assert_same, encoder_config, jitter

MMSEG, SWIN, MIT = encoder_config(), swin(), mit()
ENCODERS = {
    'mmseg ResNet': (MMSEG, None, 'layer1.0.conv1.weight'),
    'mmseg Swin': (SWIN, None, 'patch_embed.projection.weight'),
    'mmseg MiT': (MIT, None, 'layers.0.0.projection.weight'),
    'mmpretrain': (convnext(), 'mmpretrain', 'downsample_layers.0.0.weight'),
    'timm': (timm('test_resnet'), 'timm', 'timm_model.conv1.0.weight'),
}


@pytest.fixture(params=ENCODERS, ids=[*ENCODERS])
def case(request):
    config, package, first = ENCODERS[request.param]
    if package and is_missing(package):
        pytest.skip(f'{package} is not installed')
    return config, first


@pytest.fixture
def warnings(monkeypatch):
    said = []
    monkeypatch.setattr(pretrained_fit, 'print_log', lambda text, **_: said.append(text))
    return said


def initialised(config, path, **init):
    """An encoder after its initialisation from a file."""
    weights = {'type': 'Pretrained', 'checkpoint': str(path), **init}
    encoder = build_encoder({**config, 'init_cfg': weights})
    with pretrained_errors(encoder, 'encoder'):
        encoder.init_weights()
    return encoder


def saved(state, path):
    torch.save({'state_dict': state}, path)
    return path


def test_all_weights_are_taken_without_a_word(case, tmp_path, warnings):
    source = jitter(build_encoder(case[0]))
    encoder = initialised(case[0], saved(source.state_dict(), tmp_path / 'own.pth'))
    assert_same(dict(encoder.state_dict()), dict(source.state_dict()))
    assert warnings == []


def test_what_is_lacking_is_counted_and_named(case, tmp_path, warnings):
    config, first = case
    source = jitter(build_encoder(config))
    state = source.state_dict()
    total = len(pretrained_fit.weights(source))
    del state[first]
    encoder = initialised(config, saved(state, tmp_path / 'part.pth'))
    [said] = warnings
    assert f'lack 1 of the {total} weights' in said
    assert said.endswith(f'those of {first.removesuffix(".weight")}')
    found = encoder.state_dict()
    assert_same({key: found[key] for key in state}, dict(state))


def test_weights_of_a_deeper_network_are_told(case, tmp_path, warnings):
    encoder = build_encoder(case[0])
    whole = {**encoder.state_dict(), 'head.fc.weight': torch.zeros(2, 2), 'norm.weight': torch.zeros(2)}
    initialised(case[0], saved(whole, tmp_path / 'classifier.pth'))
    assert warnings == []
    blocks = [name for name, module in encoder.named_modules() if re.search(r'[._]\d$', name)]
    deeper = f'{blocks[-1][:-1]}9'
    initialised(case[0], saved({**whole, f'{deeper}.weight': torch.zeros(2)}, tmp_path / 'deeper.pth'))
    [said] = warnings
    assert 'of a deeper network than the encoder' in said
    assert f'they have {deeper.removeprefix("timm_model.").replace("_", ".")} besides' in said
    del whole[case[1]]  # of another network, then, whose parts may be numbered otherwise
    initialised(case[0], saved({**whole, f'{deeper}.weight': torch.zeros(2)}, tmp_path / 'other.pth'))
    [said] = warnings[1:]
    assert 'lack 1 of the' in said


def test_damaged_weights_are_refused(case, tmp_path):
    state = build_encoder(case[0]).state_dict()
    state[case[1]].view(-1)[0] = torch.nan
    with pytest.raises(CheckpointError, match=r'damaged: 1 hold NaN or infinite values, e\.g\. '):
        initialised(case[0], saved(state, tmp_path / 'damaged.pth'))


@pytest.mark.parametrize('content', [b'hello', b'', b'<html></html>'])
def test_a_file_that_holds_no_weights_is_named(case, tmp_path, content):
    path = tmp_path / 'page.pth'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'cannot load the pretrained weights .*page\.pth'):
        initialised(case[0], path)


def test_weights_under_another_key_are_found_there(tmp_path):
    torch.save({'model': build_encoder(MMSEG).state_dict(), 'epoch': 3}, tmp_path / 'timm.pth')
    with pytest.raises(
        CheckpointError, match=r"their weights lie under 'model'.*torch\.load\(FILE\)\['model'\]"
    ):
        initialised(MMSEG, tmp_path / 'timm.pth')


def test_weights_of_another_network_are_refused(case, tmp_path):
    other = {'type': 'strange', 'stem.kernel': torch.zeros(3)}
    with pytest.raises(CheckpointError) as caught:
        initialised(case[0], saved(other, tmp_path / 'other.pth'))
    for word in ('other.pth', 'share no weight with the encoder', 'stem.kernel', 'prefix=', 'init_cfg=None'):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ('config', 'words'),
    [
        (encoder_config(stem_channels=16, base_channels=16), ['share no weight', 'have other shapes']),
        (swin(embed_dims=12), ['do not fit', 'have other shapes', '(12, 3, 4, 4) instead of (8, 3, 4, 4)']),
    ],
    ids=['mmengine loads what fits', 'torch loads all or fails'],
)
def test_weights_of_other_widths_are_refused(tmp_path, config, words):
    path = saved(build_encoder(config).state_dict(), tmp_path / 'wide.pth')
    with pytest.raises(CheckpointError) as caught:
        initialised({'ResNetV1c': MMSEG, 'SwinTransformer': SWIN}[config['type']], path)
    assert all(word in str(caught.value) for word in words)


def test_a_prefix_that_no_name_has_is_named(tmp_path, warnings):
    source = build_encoder(MMSEG)
    state = {f'backbone.{key}': value for key, value in source.state_dict().items()}
    path = saved(state, tmp_path / 'segmentor.pth')
    assert_same(dict(initialised(MMSEG, path, prefix='backbone.').state_dict()), dict(source.state_dict()))
    with pytest.raises(CheckpointError, match=r'begins with the prefix.*encoder\..*correct the prefix'):
        initialised(MMSEG, path, prefix='encoder.')
    assert warnings == []


@pytest.mark.parametrize('name', ['test_resnet', 'test_convnext', 'test_efficientnet'])
def test_a_file_of_timm_gives_timm_s_own_features(name, tmp_path, warnings):
    if is_missing('timm'):
        pytest.skip('timm is not installed')
    from timm import create_model

    own = jitter(create_model(name, num_classes=7)).eval()
    torch.save(own.state_dict(), tmp_path / 'timm.pth')
    encoder = initialised(timm(name), tmp_path / 'timm.pth').eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = own.forward_intermediates(image, intermediates_only=True)[-1]
        assert_same(encoder(image)[-1], expected)
    assert warnings == []


@MODELS.register_module()
class OwnWay(BaseModule):
    """An encoder that takes pretrained weights by no state dict."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.scale = torch.nn.Parameter(torch.ones(1))

    def init_weights(self):
        self.scale.data.copy_(torch.load(self.init_cfg['checkpoint'])['state_dict']['kernel'])


def test_an_encoder_that_loads_in_a_way_of_its_own_is_left_alone(tmp_path, warnings):
    encoder = initialised({'type': 'OwnWay'}, saved({'kernel': torch.full((1,), 3.0)}, tmp_path / 'own.pth'))
    assert encoder.scale.item() == 3
    assert warnings == []
