import numpy as np
import pytest
from mmseg.registry import DATASETS

from infopro_seg.datasets.checks.inspection import IGNORED
from infopro_seg.datasets.checks.warnings import warnings_of
from infopro_seg.datasets.checks.whole_split import check_split
from infopro_seg.errors import ConfigError, DataError, UserError
from tests.datasets.checks.plants import CLASSES, check, config_of, leaf, loaded_labels, stored


@pytest.mark.parametrize('workers', [1, 2])
def test_clean_data_equals_an_independent_count(made, workers):
    report = check_split(config_of(leaf(made)), workers=workers)
    images, labels = stored(made)
    pixels = np.concatenate([image.reshape(-1, 3) for image in images]).astype(np.float64)
    flat = np.concatenate([label.reshape(-1) for label in labels])
    assert report.problems == []
    assert warnings_of(report) == []
    np.testing.assert_allclose(report.mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(report.std, pixels.std(axis=0), rtol=1e-12)
    for index in range(256):
        assert report.pixels[index] == (flat == index).sum()
        assert report.images[index] == sum((label == index).any() for label in labels)
    assert report.ignored_share == (flat == IGNORED).mean()
    assert dict(report.sizes) == {(30, 20): 4, (16, 24): 2}
    assert dict(report.image_modes) == {'RGB 8 bit': 6}
    assert dict(report.label_modes) == {'gray 8 bit': 6}


def test_bgr_stays_where_the_config_does_not_turn_it(made):
    rgb, bgr = (check(leaf(made), bgr_to_rgb=flag) for flag in (True, False))
    np.testing.assert_array_equal(rgb.mean, bgr.mean[::-1])
    np.testing.assert_array_equal(rgb.std, bgr.std[::-1])


@DATASETS.register_module()
class MadePlants(DATASETS.get('BaseSegDataset')):
    METAINFO = {'classes': CLASSES, 'palette': [[index * 9] * 3 for index in range(len(CLASSES))]}


@pytest.mark.parametrize(
    'changes',
    [
        {'reduce_zero_label': True},
        {'type': 'MadePlants', 'metainfo': {'classes': ('root', 'leaf')}},
        {'type': 'MadePlants', 'metainfo': {'classes': ('root', 'leaf')}, 'reduce_zero_label': True},
        {'type': 'MadePlants', 'metainfo': {'classes': ('stem', 'ground', 'root', 'leaf')}},
    ],
)
def test_ids_become_classes_as_in_mmseg(made, changes):
    dataset = leaf(made, **changes)
    report = check(dataset)
    labels = loaded_labels(dataset)
    count = len(dataset['metainfo']['classes'])
    expected = np.bincount(np.concatenate([label.reshape(-1) for label in labels]), minlength=256)
    np.testing.assert_array_equal(report.pixels, expected)
    outside = [label for label in labels if ((label >= count) & (label < IGNORED)).any()]
    assert len([p for p in report.problems if 'label ids' in p.what]) == len(outside)


def test_wrappers_are_opened_and_each_file_read_once(made):
    inner = {'type': 'RepeatDataset', 'times': 3, 'dataset': leaf(made)}
    again = leaf(made, indices=[0, 1])
    report = check({'type': 'ConcatDataset', 'datasets': [inner, again]})
    assert len(report.split.pairs) == 6
    np.testing.assert_array_equal(report.pixels, check(leaf(made)).pixels)


def test_a_split_without_labels_is_checked_too(made):
    report = check(leaf(made, data_prefix={'img_path': 'images'}, pipeline=[{'type': 'LoadImage'}]))
    assert report.problems == []
    assert report.labels == 0
    assert sum(report.sizes.values()) == 6


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        ({'data_prefix': {'img_path': 'none'}}, DataError, r'no folder .*data/none; correct the paths'),
        ({'img_suffix': '.tif'}, DataError, r'no \*\.tif in .*images, which holds 6 \*\.png'),
        ({'type': 'Nonsense'}, ConfigError, 'cannot build the train data set Nonsense'),
        (
            {'img_sufix': '.png'},
            ConfigError,
            "not accept img_sufix='.png'; did you mean img_suffix.. To drop",
        ),
        ({'ann_file': 'none.txt'}, ConfigError, r'Failed to load `ann_file` .*none\.txt'),
        ({'metainfo': {}}, ConfigError, 'names no classes'),
        (
            {'pipeline': [{'type': 'LoadAnnotations', 'reduce_zero_label': True}]},
            ConfigError,
            'False in the data set, but True in its pipeline',
        ),
        ({'pipeline': [{'type': 'LoadBiomedicalImageFromFile'}]}, ConfigError, 'cannot check images loaded'),
    ],
)
def test_what_cannot_be_checked_is_said(root, changes, error, message):
    with pytest.raises(error, match=message):
        check(leaf(root, **changes))


def test_how_to_make_missing_data_is_said(tmp_path):
    with pytest.raises(DataError, match='to get it: draw --all'):
        check(leaf(tmp_path / 'none'), data_howto='draw --all')


def test_unknown_split_is_answered_with_those_there_are(made):
    with pytest.raises(ConfigError, match=r'no test split in the config: .*choose from train'):
        check_split(config_of(leaf(made)), 'test')


def test_different_classes_in_one_split_are_refused(made):
    datasets = [leaf(made), leaf(made, metainfo={'classes': ('a', 'b')})]
    with pytest.raises(ConfigError, match='differ in their classes'):
        check({'type': 'ConcatDataset', 'datasets': datasets})


def test_no_workers_are_refused(made):
    with pytest.raises(UserError, match='0 workers'):
        check_split(config_of(leaf(made)), workers=0)
