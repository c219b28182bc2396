import numpy as np
import pytest
from cityscapesscripts.helpers.labels import name2label
from mmseg.datasets import ADE20KDataset, BaseSegDataset, CityscapesDataset, LoveDADataset
from PIL import Image

from infopro_seg.datasets.checks.label_loading import label_classes
from infopro_seg.evaluation.label_files import is_written_here, write_image, write_label_image
from infopro_seg.evaluation.label_images import label_ids
from infopro_seg.evaluation.metainfo import metainfo_of, trained_metainfo

ADE = ADE20KDataset.METAINFO['classes']
STREETS = CityscapesDataset.METAINFO['classes']


@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        (ADE20KDataset, {}),
        (ADE20KDataset, {'reduce_zero_label': False}),
        (ADE20KDataset, {'metainfo': {'classes': ADE[40:43] + ADE[2:4]}}),
        (LoveDADataset, {}),
        (BaseSegDataset, {'metainfo': {'classes': ('a', 'b', 'c')}}),
        (BaseSegDataset, {'metainfo': {'classes': ('a', 'b', 'c')}, 'reduce_zero_label': True}),
        (BaseSegDataset, {'metainfo': {'classes': tuple(map(str, range(19)))}}),
    ],
    ids=['ade', 'ade as it is', 'some of ade', 'loveda', 'own', 'own from 1', 'nineteen'],
)
def test_loading_a_written_label_image_gives_the_classes_back(kind, options):
    """mmseg's own loader is the judge."""
    dataset = kind(lazy_init=True, **options)
    ids = label_ids(dataset.metainfo)
    assert ids.dtype == np.uint8
    assert label_classes(dataset)[ids].tolist() == list(range(len(dataset.metainfo['classes'])))


def test_some_classes_of_cityscapes_keep_cityscapes_ids():
    chosen = ('sky', 'road', 'bicycle')
    dataset = CityscapesDataset(lazy_init=True, metainfo={'classes': chosen})
    assert label_ids(dataset.metainfo).tolist() == [name2label[name].id for name in chosen]
    own = BaseSegDataset(lazy_init=True, metainfo={'classes': STREETS[:2]})  # of another data set
    assert label_ids(own.metainfo).tolist() == [0, 1]


def test_ids_above_255_are_written_with_16_bits(tmp_path):
    ids = label_ids({'classes': list(map(str, range(300))), 'reduce_zero_label': True})
    prediction = np.arange(300).reshape(10, 30)
    write_label_image(tmp_path / 'a.png', prediction, ids)
    with Image.open(tmp_path / 'a.png') as picture:
        assert picture.mode == 'I;16'
        assert np.array_equal(np.array(picture), prediction + 1)


def test_a_picture_of_our_own_is_known_again(tmp_path):
    write_image(tmp_path / 'own.png', np.zeros((3, 4, 3), np.uint8))
    Image.new('RGB', (4, 3)).save(tmp_path / 'other.png')
    (tmp_path / 'broken.png').write_bytes(b'no picture')
    known = [is_written_here(tmp_path / f'{name}.png') for name in ('own', 'other', 'broken')]
    assert known == [True, False, False]


@pytest.mark.parametrize(
    'config',
    [
        {'type': 'ADE20KDataset', 'data_root': 'nowhere', 'data_prefix': {'img_path': 'none'}},
        {'type': 'ADE20KDataset', 'metainfo': {'classes': ADE[3:5]}},
        {'type': 'PascalVOCDataset', 'ann_file': 'none.txt'},
        {'type': 'BaseSegDataset', 'metainfo': {'classes': ('a', 'b')}, 'reduce_zero_label': True},
    ],
)
def test_the_metainfo_of_a_data_set_is_known_without_its_files(config):
    from mmseg.registry import DATASETS

    meta = metainfo_of(config)
    kind = DATASETS.get(config['type'])
    expected = config.get('metainfo', {}).get('classes', kind.METAINFO.get('classes'))
    assert list(meta['classes']) == list(expected)
    assert len(meta['palette']) == len(expected)
    if config['type'] != 'PascalVOCDataset':  # which wants its files
        built = kind(
            lazy_init=True, **{k: v for k, v in config.items() if k in ('metainfo', 'reduce_zero_label')}
        )
        assert meta == built.metainfo


def test_a_checkpoint_s_own_metainfo_comes_first():
    own = {'type': 'BaseSegDataset', 'metainfo': {'classes': ('a', 'b')}, 'reduce_zero_label': True}
    config = {'train_dataloader': {'dataset': {'type': 'ConcatDataset', 'datasets': [own, own]}}}
    bare = trained_metainfo({}, config)
    assert (bare['classes'], bare['reduce_zero_label']) == (('a', 'b'), True)
    kept = {'classes': ('a', 'b'), 'palette': [[1, 2, 3], [4, 5, 6]]}
    both = trained_metainfo({'meta': {'dataset_meta': kept}}, config)
    assert (both['palette'], both['reduce_zero_label']) == (kept['palette'], True)
    other = {'classes': ('c', 'd'), 'palette': []}
    assert trained_metainfo({'meta': {'dataset_meta': other}}, config) == other
