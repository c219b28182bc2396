"""Files and settings of a data set that would train or measure wrongly without a word."""

import shutil

import numpy as np
import pytest
from PIL import Image

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.checks.whole_split import check_split
from infopro_seg.datasets.image_files import load_image
from infopro_seg.datasets.preflight import require_data
from infopro_seg.errors import DataError, UserError
from tests.datasets.pairs import config_of, leaf, make, mask, photograph, save


def refused(config, words, split='train'):
    """Both training and check_dataset.py refuse a config."""
    with pytest.raises(UserError, match=words):
        require_data(config, (split,))
    try:
        problems = ' '.join(map(str, check_split(config, split, workers=1).problems))
    except UserError as error:
        problems = str(error)
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(problems)


def save16(path, values):
    """A gray 16-bit PNG."""
    Image.fromarray(values.astype(np.uint16)).save(path)
    return path


def test_a_16_bit_image_that_would_be_read_as_black_is_refused(tmp_path):
    root = make(tmp_path, splits=('train',))
    for index in range(4):
        path = save16(root / f'images/train/{index}.png', photograph()[..., 0])
    refused(config_of(leaf(root)), 'images/train: the values of the 16-bit images are below 4096')
    with pytest.raises(DataError, match=r'all below 256.*scale its values'):
        load_image(path)


@pytest.mark.parametrize(('value', 'read'), [(0, 0), (256, 1), (65535, 255)])
def test_other_16_bit_images_are_read_by_their_upper_bits(tmp_path, value, read):
    image = load_image(save16(tmp_path / 'a.png', np.full((4, 5), value)))
    assert np.array_equal(image, np.full((4, 5, 3), read, np.uint8))


def test_images_of_12_bits_in_16_are_refused(tmp_path):
    root = make(tmp_path, splits=('train',))
    for index in range(4):
        save16(root / f'images/train/{index}.png', photograph()[..., 0].astype(int) * 16)
    refused(
        config_of(leaf(root)), r'images/train: the values of the 16-bit images are below 4096, .* scale them'
    )
    save16(root / 'images/train/3.png', np.full((20, 30), 4096))
    require_data(config_of(leaf(root)), ('train',))  # then the others may be dark


@pytest.mark.parametrize('linked', [False, True])
def test_an_image_that_is_its_own_label_image_is_refused(tmp_path, linked):
    root = make(tmp_path, splits=('train',))
    folder = 'masks/train'
    if linked:
        folder = 'images/linked'
        (root / folder).symlink_to(root / 'masks/train')
    data = leaf(root, data_prefix={'img_path': folder, 'seg_map_path': 'masks/train'})
    refused(config_of(data), '0.png: the label image is the image itself; correct seg_map_path')


def exif(orientation):
    tags = Image.Exif()
    tags[0x112] = orientation
    return {'exif': tags}


@pytest.mark.parametrize('orientation', [3, 4])
def test_a_label_image_with_an_orientation_of_its_own_is_refused(tmp_path, orientation):
    root = make(tmp_path, splits=('train',))
    save(root / 'masks/train/2.png', mask(), **exif(orientation))
    refused(config_of(leaf(root)), rf'2.png: has an EXIF orientation of its own \({orientation}\)')


def test_a_label_image_with_the_orientation_of_its_photograph_is_turned_with_it(tmp_path):
    root = make(tmp_path, splits=('train',))
    save(root / 'images/train/2.png', photograph(), **exif(6))
    save(root / 'masks/train/2.png', mask(), **exif(6))
    require_data(config_of(leaf(root)), ('train',))


def test_joined_data_sets_to_evaluate_that_overlap_are_warned_of(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('mmengine.logging.MMLogger.warning', lambda self, text: said.append(text))
    root = make(tmp_path)
    (root / 'first.txt').write_text('0\n')
    whole, first = leaf(root, 'val'), leaf(root, 'val', ann_file='first.txt')
    require_data(config_of({'type': 'ConcatDataset', 'datasets': [whole, first]}, 'val'), ('val',))
    assert ['1 images of the val split are listed again, e.g. ' in text for text in said] == [True]
    said.clear()
    require_data(config_of({'type': 'RepeatDataset', 'times': 2, 'dataset': whole}, 'val'), ('val',))
    assert not said


def test_images_to_evaluate_are_listed_once(tmp_path):
    root = make(tmp_path)
    (root / 'list.txt').write_text('0\n1\n1\n1\n')
    val = config_of(leaf(root, 'val', ann_file='list.txt'), 'val')
    refused(val, '1 images more than once, e.g. 1', 'val')
    require_data(config_of(leaf(root, ann_file='list.txt')), ('train',))  # a way to weight images


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'ann_file': ['a.txt']}, r"ann_file=\['a.txt'\] of the train data set BaseSegDataset is a list"),
        ({'img_suffix': ('.png', '.jpg')}, 'img_suffix=.* is a tuple; write a single string'),
        ({'data_root': ['a', 'b']}, 'data_root=.* is a list; .* join several data sets by a ConcatDataset'),
        (
            {'data_prefix': 'images'},
            r"data_prefix='images' .* is not a dict; write dict\(img_path=..., seg_map",
        ),
        ({'data_prefix': {'img_path': ['a']}}, r"img_path=\['a'\] .* is a list; write a single string"),
        ({'metainfo': {'classes': ('a', 'b'), 'palette': None}}, r'palette=None .* write palette=\[\]'),
    ],
)
def test_settings_of_a_wrong_type_are_named(tmp_path, changes, words):
    refused(config_of(leaf(make(tmp_path, 1, ('train',)), **changes)), words)


@pytest.mark.parametrize('times', [0, -1, 2.5, '2', None])
def test_a_data_set_is_repeated_a_whole_number_of_times(tmp_path, times):
    data = {'type': 'RepeatDataset', 'times': times, 'dataset': leaf(make(tmp_path))}
    refused(config_of(data), f'times={times!r} of the RepeatDataset; write a whole number of 1 or more')
    require_data(config_of({**data, 'times': 3}), ('train',))


def test_a_wrapper_without_data_sets_and_a_choice_of_no_image_are_named(tmp_path):
    refused(config_of({'type': 'ConcatDataset', 'datasets': []}), r'datasets=\[\] of the ConcatDataset')
    data = leaf(make(tmp_path))
    refused(config_of({**data, 'indices': 0}), 'indices=0 selects no image')
    require_data(config_of({**data, 'indices': 2}), ('train',))


@pytest.mark.parametrize('labelled', [True, False])
def test_images_of_hidden_folders_are_refused(tmp_path, labelled):
    """Jupyter keeps copies of the files that were looked at in `.ipynb_checkpoints`."""
    root = make(tmp_path / '.cache', splits=('train',))  # the data may lie in a hidden folder as a whole
    require_data(config_of(leaf(root)), ('train',))
    kinds = {'images': photograph(), 'masks': mask()}
    for kind in kinds if labelled else ('images',):
        save(root / kind / 'train/.ipynb_checkpoints/0-checkpoint.png', kinds[kind])
    words = r'images/train/\.ipynb_checkpoints: the folder is hidden, but its images .*; remove it'
    if labelled:
        refused(config_of(leaf(root)), words)
        (root / 'list.txt').write_text('.ipynb_checkpoints/0-checkpoint\n')
        require_data(config_of(leaf(root, ann_file='list.txt')), ('train',))  # asked for by name
    else:
        with pytest.raises(UserError, match=words):
            require_data(config_of(leaf(root)), ('train',))


def test_joined_label_images_of_several_annotators_are_not_warned_of(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('mmengine.logging.MMLogger.warning', lambda self, text: said.append(text))
    root = make(tmp_path)
    shutil.copytree(root / 'masks', root / 'second')
    one = leaf(root, 'val')
    other = leaf(root, 'val', data_prefix={**one['data_prefix'], 'seg_map_path': 'second/val'})
    require_data(config_of({'type': 'ConcatDataset', 'datasets': [one, other]}, 'val'), ('val',))
    assert not said
