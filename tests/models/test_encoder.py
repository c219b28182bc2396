"""What cannot be built or cut is refused with the remedy."""

import sys
from copy import deepcopy

import pytest

from infopro_seg.errors import ConfigError
from infopro_seg.models import InfoProBackbone, iter_blocks, split_blocks
from infopro_seg.models.encoder import build_encoder
from tests.models.encoder_list import convnext, hrnet, swin, timm, vit


def refused(action, *words):
    with pytest.raises(ConfigError) as caught:
        action()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ('config', 'package', 'pip'),
    [
        (timm('resnet18'), 'timm', 'pip install timm "torchvision==0.'),
        (convnext(), 'mmpretrain', 'pip install onedl-mmpretrain model-index "torchvision==0.'),
    ],
    ids=['timm', 'mmpretrain'],
)
def test_an_encoder_of_a_missing_package_is_refused_with_its_pip_line(monkeypatch, config, package, pip):
    monkeypatch.setitem(sys.modules, package, None)
    refused(lambda: InfoProBackbone(config), config['type'], package, 'not installed', pip)


def test_a_package_that_cannot_be_imported_is_named_with_the_reason(monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.split('.')[0] == 'timm']:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / 'timm.py').write_text('import no_such_dependency')
    monkeypatch.syspath_prepend(tmp_path)
    refused(
        lambda: build_encoder(timm('resnet18')), 'cannot be imported', 'no_such_dependency', 'pip install'
    )


def test_an_unknown_encoder_is_refused():
    refused(lambda: build_encoder({'type': 'ResNot'}), "no encoder 'ResNot'", 'custom_imports')


@pytest.mark.parametrize(
    'init',
    ['weights.pth', {'checkpoint': 'weights.pth'}, {'type': 'Pretrained'}, [{'type': 'Kaiming'}, 'Xavier']],
)
def test_an_initialisation_that_is_none_is_refused(init):
    refused(
        lambda: build_encoder({**hrnet(), 'init_cfg': init}),
        f'init_cfg={init!r}',
        'type="Pretrained"',
        '=None',
    )


@pytest.mark.parametrize('init', [None, {}, [], [{'type': 'Constant', 'val': 2, 'layer': 'Conv2d'}]])
def test_what_mmengine_initialises_by_is_taken(init):
    encoder = build_encoder({**hrnet(), 'init_cfg': init})
    encoder.init_weights()
    assert bool(init) == bool((encoder.conv1.weight == 2).all())


@pytest.mark.parametrize(
    ('config', 'cut', 'words'),
    [
        (hrnet(), 'stage2.0.branches.1', ['inside the block stage2.0', 'choose from stem', 'stage3.1']),
        (hrnet(), 'stage3', ['several blocks', 'the last of them stage3.1', 'choose from stem']),
        (swin(), 'stages.0.blocks.1.attn', ['inside the block stages.0.blocks.1', 'choose from patch_embed']),
    ],
    ids=['branch', 'stage', 'attention'],
)
def test_a_cut_where_there_is_none_names_the_blocks(config, cut, words):
    refused(lambda: split_blocks(build_encoder(config), (cut,)), repr(cut), *words)


def test_outputs_that_are_no_feature_maps_are_refused():
    encoder = build_encoder(vit(output_cls_token=True))
    refused(lambda: list(iter_blocks(encoder)), 'output_cls_token=True', 'VisionTransformer')


def test_averaged_outputs_of_convnext_are_refused():
    pytest.importorskip('mmpretrain', exc_type=ImportError)
    encoder = build_encoder(convnext(gap_before_final_norm=True))
    refused(lambda: list(iter_blocks(encoder)), 'gap_before_final_norm=False')


@pytest.mark.parametrize('name', ['vit_tiny_patch16_224', 'swin_tiny_patch4_window7_224', 'hrnet_w18_small'])
def test_timm_encoders_of_another_kind_are_refused(name):
    pytest.importorskip('timm', exc_type=ImportError)
    encoder = build_encoder(timm(name))
    refused(lambda: list(iter_blocks(encoder)), 'timm encoder', 'resnext', 'features_only=True')


def test_encoders_of_one_image_size_are_built_at_that_size():
    backbone = InfoProBackbone(deepcopy(vit('BEiT', img_size=(24, 40))))
    assert backbone.out_channels == (12, 12)
