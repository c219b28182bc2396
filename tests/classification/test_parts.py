import ast

import pytest
import torch
from mmengine import ConfigDict
from mmseg.registry import MODELS

from infopro_seg.errors import ConfigError
from infopro_seg.models.encoder import import_package
from infopro_seg.tasks import is_classifier
from tests.classification.tiny import CLASSES, local_head, model_config
from tests.runs import ROOT


def head(**kwargs):
    own = {'in_channels': 4, 'channels': 4, 'num_classes': CLASSES, 'hidden_channels': 6}
    return MODELS.build({'type': 'ConvClassifierHead', **own, **kwargs})


@pytest.mark.parametrize(
    ('options', 'shapes'),
    [
        ({'num_convs': 0, 'num_linear': 1}, [(3, 4)]),  # greedy SL
        ({'num_convs': 1}, [(4, 4, 3, 3), (6, 4), (3, 6)]),
        ({'num_convs': 1, 'double_below': 5}, [(8, 4, 3, 3), (6, 8), (3, 6)]),
        ({'num_convs': 1, 'double_below': 4}, [(4, 4, 3, 3), (6, 4), (3, 6)]),
        ({'num_convs': 2, 'double_below': 5}, [(8, 4, 3, 3), (8, 8, 3, 3), (6, 8), (3, 6)]),  # DGL
        ({'loss': 'contrast', 'out_channels': 9}, [(4, 4, 3, 3), (6, 4), (9, 6)]),
    ],
)
def test_an_auxiliary_head_has_the_layers_that_the_paper_s_name_says(options, shapes):
    weights = [p for name, p in head(**options).named_parameters() if p.ndim > 1]
    assert [tuple(weight.shape) for weight in weights] == shapes


@pytest.mark.parametrize(('width', 'expected'), [(16, 8), (15, 15), (17, 9)])
def test_the_first_convolution_halves_maps_of_sixteen_pixels_and_more(width, expected):
    convs = head(num_convs=2).convs
    assert convs(torch.zeros(2, 4, width, width)).shape == (2, 4, expected, expected)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'loss': 'hinge'}, "loss='hinge' of a ConvClassifierHead; choose from softmax, contrast"),
        ({'temperature': 0}, 'temperature=0 of ConvClassifierHead must be above 0'),
        ({'num_linear': 0}, 'num_linear=0 of a ConvClassifierHead leaves no layer'),
    ],
)
def test_a_wrong_head_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        head(**options)


def test_a_depth_that_is_not_six_n_plus_two_is_refused():
    with pytest.raises(ConfigError, match='depth=34 of CifarResNet is not 6n'):
        MODELS.build({'type': 'CifarResNet', 'depth': 34})


def test_resnet_32_has_the_size_that_its_authors_name():
    encoder = MODELS.build({'type': 'CifarResNet', 'depth': 32})
    assert sum(p.numel() for p in encoder.parameters()) == 463_504 + 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'backbone': {'type': 'CifarResNet', 'depth': 8}}, 'needs an InfoProBackbone .*, not CifarResNet'),
        ({'head': None}, 'InfoProImageClassifier has no head'),
        (
            {'head': {'type': 'mmpretrain.LinearClsHead', 'in_channels': 5, 'num_classes': 3}},
            'head.in_channels=5, but it gets 16 channels',
        ),
        (
            {'backbone': {**model_config().backbone, 'local_head': {**local_head(), 'stride': 4}}},
            'stride=4 of a local head .* leave stride out',
        ),
    ],
)
def test_a_wrong_classifier_is_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        MODELS.build(ConfigDict({**model_config(2), **changes}))


@pytest.mark.parametrize(
    ('kind', 'expected'),
    [
        ('InfoProImageClassifier', True),
        ('mmpretrain.ImageClassifier', True),
        ('InfoProEncoderDecoder', False),
        (None, False),
    ],
)
def test_a_classifier_is_known_by_its_type(kind, expected):
    assert is_classifier(ConfigDict(model={'type': kind})) is expected
    assert is_classifier(ConfigDict(type=kind)) is expected


def test_a_missing_mmpretrain_is_named_with_what_installs_it(monkeypatch):
    monkeypatch.setattr('infopro_seg.models.encoder.find_spec', lambda name: None)
    message = (
        r'a classifier needs the package mmpretrain, which is not installed: pip install onedl-mmpretrain'
    )
    with pytest.raises(ConfigError, match=message):
        import_package('mmpretrain.models', 'a classifier')


def test_nothing_of_classification_is_imported_with_the_package():
    """Imports at the top of modules: those inside functions wait until a config asks for a classifier."""
    allowed = 'infopro_seg.tasks'
    later = ('convnext.py', 'whole_images.py')  # an optional rule, the probes of a classifier
    for path in (ROOT / 'infopro_seg').rglob('*.py'):
        if path.parent.name == 'classification' or path.name in later:
            continue
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ''] if isinstance(node, ast.ImportFrom) else []
            found = [n for n in names if n.startswith(('mmpretrain', 'infopro_seg.classification'))]
            assert set(found) <= {allowed}, path
