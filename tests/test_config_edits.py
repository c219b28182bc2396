"""Copies of configs with something replaced."""

import copy

import pytest
from mmengine.config import Config, ConfigDict

from infopro_seg.config_edits import edited, with_crop, without_local_modules, without_pretraining

TREE = {'a': [{'b': 1}, (2, {'c': [3]})], 'd': 4}


def test_everything_is_replaced_from_the_innermost_on():
    seen = []

    def edit(node):
        seen.append(copy.deepcopy(node))
        return node + 1 if isinstance(node, int) else node

    assert edited(TREE, edit) == {'a': [{'b': 2}, (3, {'c': [4]})], 'd': 5}
    assert TREE == {'a': [{'b': 1}, (2, {'c': [3]})], 'd': 4}
    assert seen == [1, {'b': 2}, 2, 3, [4], {'c': [4]}, (3, {'c': [4]}), seen[7], 4, seen[9]]
    assert seen[9] == {'a': seen[7], 'd': 5}


def test_weights_are_left_out_wherever_they_are_named():
    pretrained = {'type': 'Pretrained', 'checkpoint': 'a.pth'}
    model = Config(
        {
            'm': {
                'pretrained': 'x',
                'backbone': {'init_cfg': pretrained},
                'heads': [{'init_cfg': {'type': 'Normal'}}],
            }
        }
    ).m
    found = without_pretraining(model)
    assert isinstance(found, ConfigDict)
    assert found.backbone.init_cfg is None
    assert found == {
        'pretrained': None,
        'backbone': {'init_cfg': None},
        'heads': [{'init_cfg': {'type': 'Normal'}}],
    }
    assert model.pretrained == 'x'
    assert model.backbone.init_cfg == pretrained


@pytest.mark.parametrize('backbone', [{}, {'backbone': None}, {'backbone': {'type': 'ResNetV1c'}}])
def test_a_model_that_is_not_split_stays(backbone):
    model = {'type': 'MultimodalEncoderDecoder', **backbone}
    assert without_local_modules(model) == model


@pytest.mark.parametrize('split', [{'cuts': ('a',)}, {'num_modules': 3}, {'cuts': ('a',), 'stage': 1}])
def test_the_encoder_is_in_one_piece_for_inference(split):
    kind = 'InfoProStageBackbone' if 'stage' in split else 'InfoProBackbone'
    model = {'backbone': {'type': kind, 'encoder': {}, 'local_head': {}, **split}}
    given = copy.deepcopy(model)
    assert without_local_modules(model)['backbone'] == {
        'type': 'InfoProBackbone',
        'encoder': {},
        'cuts': (),
        'num_modules': None,
        'local_head': None,
        'checkpoint': False,
    }
    assert model == given
    stock = {'backbone': {'type': 'ResNet'}}
    assert without_local_modules(stock) == stock


def test_every_crop_of_a_pipeline_has_the_size():
    crop = {'type': 'RandomCrop', 'crop_size': (1, 2), 'cat_max_ratio': 0.75}
    pipeline = [{'type': 'Resize', 'scale': (1, 2)}, {'type': 'Wrapper', 'transforms': [crop]}]
    assert with_crop(pipeline, (8, 16)) == [
        {'type': 'Resize', 'scale': (1, 2)},
        {'type': 'Wrapper', 'transforms': [{**crop, 'crop_size': (8, 16)}]},
    ]
    assert crop['crop_size'] == (1, 2)
    square = {'type': 'RandomCrop', 'crop_size': 8}
    assert with_crop(square, (8, 8)) == square  # the same size: the config stays as its author wrote it
    assert with_crop(square, (8, 16)) == {**square, 'crop_size': (8, 16)}
