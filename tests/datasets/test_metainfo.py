"""Names and colours of classes."""

import pytest
from mmengine.config import Config

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.checks.classes import require_equal_classes
from infopro_seg.datasets.metainfo import require_palette_length
from infopro_seg.datasets.preflight import require_data
from infopro_seg.errors import ConfigError
from tests.datasets.pairs import CLASSES, PALETTE, config_of, leaf, make

REFUSED = {
    'no classes': ({}, 'names no classes; give it metainfo'),
    'one class': (
        {'classes': ('leaf',)},
        r"has one class, 'leaf': a softmax.*classes=\('background', 'leaf'\)",
    ),
    'a text': ({'classes': 'leaf'}, r"the string 'leaf'.*\('leaf',\)"),
    'a text and colours': ({'classes': 'leaf', 'palette': PALETTE}, r"the string 'leaf'.*\('leaf',\)"),
    'a name twice': ({'classes': ('leaf', 'stem', 'leaf')}, "names 'leaf' more than once"),
    'a number': ({'classes': ('leaf', 1)}, 'has the class name 1, a int; write it in quotes'),
    'too many': ({'classes': tuple(map(str, range(256)))}, 'has 256 classes, but label images hold 255'),
    'a hexadecimal colour': (
        {'classes': CLASSES, 'palette': ['#3c3c3c', '#5ac846', '#e69628']},
        r"class 'ground' .*'#3c3c3c'; give each class three whole numbers.*, here \(60, 60, 60\)",
    ),
    'a colour above 255': (
        {'classes': CLASSES, 'palette': [*PALETTE[:2], (300, 0, 0)]},
        r"'stem' .*\(300, 0, 0\)",
    ),
    'a colour of shares': (
        {'classes': CLASSES, 'palette': [(0.1, 0.2, 0.3)] * 3},
        'whole numbers from 0 to 255',
    ),
    'a colour with alpha': ({'classes': CLASSES, 'palette': [(0, 0, 0, 255)] * 3}, 'whole numbers'),
    'too few colours': ({'classes': CLASSES, 'palette': PALETTE[:2]}, 'has 2 colours for 3 classes'),
}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return make(tmp_path_factory.mktemp('data'), 2)


@pytest.mark.parametrize('name', REFUSED)
def test_classes_and_colours_that_make_no_sense_are_refused(root, name):
    metainfo, words = REFUSED[name]
    with pytest.raises(ConfigError, match=words):
        require_data(config_of(leaf(root, metainfo=metainfo)), ('train',))


def test_a_file_of_classes_may_lie_elsewhere():
    metainfo = {'classes': 'https://example.org/classes.txt'}
    require_palette_length({'type': 'BaseSegDataset', 'metainfo': metainfo}, 'train')
    with pytest.raises(ConfigError, match=r"the string 'classes\.txt'"):
        require_palette_length({'type': 'BaseSegDataset', 'metainfo': {'classes': 'classes.txt'}}, 'train')


@pytest.mark.parametrize(('count', 'shifted'), [(256, False), (255, True), (256, True)])
def test_no_class_takes_the_id_of_ignored_pixels(root, count, shifted):
    most = 254 if shifted else 255
    for classes in (count, most):
        data = leaf(root, metainfo={'classes': tuple(map(str, range(classes)))}, reduce_zero_label=shifted)
        if classes == most:
            require_data(config_of(data), ('train',))
            continue
        with pytest.raises(ConfigError, match=f'has {count} classes, but label images hold {most} at most'):
            require_data(config_of(data), ('train',))


@pytest.mark.parametrize('metainfo', [{'classes': CLASSES}, {'classes': list(CLASSES), 'palette': PALETTE}])
def test_no_palette_is_as_good_as_one(root, metainfo):
    require_data(config_of(leaf(root, metainfo=metainfo)), ('train',))


def both(train, val):
    loaders = {
        f'{split}_dataloader': {'dataset': {'type': 'BaseSegDataset', 'metainfo': {'classes': classes}}}
        for split, classes in (('train', train), ('val', val))
    }
    return Config({'model': {'decode_head': {'type': 'FCNHead', 'num_classes': 3}}, **loaders})


def test_the_same_classes_in_another_order_are_refused():
    require_equal_classes(both(CLASSES, list(CLASSES)))
    with pytest.raises(ConfigError, match='same classes in another order'):
        require_equal_classes(both(CLASSES, CLASSES[::-1]))


def test_every_data_set_of_a_split_is_compared():
    config = both(CLASSES, CLASSES)
    sets = [
        {'type': 'BaseSegDataset', 'metainfo': {'classes': classes}} for classes in (CLASSES[:2], CLASSES)
    ]
    config.train_dataloader.dataset = {'type': 'ConcatDataset', 'datasets': sets}
    with pytest.raises(ConfigError, match='different numbers of classes'):
        require_equal_classes(config)
