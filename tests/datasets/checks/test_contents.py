"""What training refuses of a data set's files before it begins, as the check does."""

import numpy as np
import pytest
from PIL import Image

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.checks import contents
from infopro_seg.datasets.checks.inspection import Loading, Pair
from infopro_seg.datasets.checks.screening import looks_right
from infopro_seg.datasets.checks.whole_split import check_split
from infopro_seg.datasets.preflight import require_data
from infopro_seg.errors import DataError
from tests.datasets.pairs import config_of, leaf, make, mask, photograph, save


@pytest.fixture
def root(tmp_path):
    return make(tmp_path)


def each_mask(root, change, split='train'):
    for path in (root / 'masks' / split).iterdir():
        save(path, change(np.array(Image.open(path))))


def refusal(root, split='train', **changes):
    with pytest.raises(DataError) as caught:
        require_data(config_of(leaf(root, split, **changes), split), (split,))
    return str(caught.value)


def check(root, split='train', **changes):
    return check_split(config_of(leaf(root, split, **changes), split), split, workers=1)


def test_good_data_passes_and_all_of_it_looks_right(root):
    require_data(config_of(leaf(root)), ('train',))
    assert check(root).problems == []
    for index in range(4):
        image, label = (root / f'{kind}/train/{index}.png' for kind in ('images', 'masks'))
        pair = Pair(image, label, Loading(np.arange(256, dtype=np.uint8), 3))
        assert looks_right(pair) == (True, (30, 20))


def wrong_id(root):
    each_mask(root, lambda labels: labels.astype(np.uint16) * 256)


def jpeg(root):
    Image.fromarray(mask()).save(root / 'masks/train/2.png', 'JPEG')


def webp(root):
    Image.fromarray(mask()).convert('RGB').save(root / 'masks/train/2.png', 'WEBP', quality=60)


def colours(root):
    save(root / 'masks/train/2.png', photograph())


def other_size(root):
    save(root / 'masks/train/2.png', mask(20, 31))


def cut(kind):
    def change(root):
        path = root / f'{kind}/train/2.png'
        path.write_bytes(path.read_bytes()[:-40])

    return change


def floats(root):
    image = root / 'images/train/2.png'
    Image.fromarray(np.zeros((20, 30), np.float32)).save(image, 'TIFF')


DEFECTS = {
    'ids above 255': (wrong_id, 'masks/train/0.png: holds the label ids [256, 512]'),
    'a JPEG mask': (jpeg, 'masks/train/2.png: the label image is a JPEG or another lossy file'),
    'a lossy WebP mask': (webp, 'masks/train/2.png: the label image is a JPEG or another lossy file'),
    'a mask of colours': (colours, 'masks/train/2.png: holds colours (RGB 8 bit)'),
    'another size': (other_size, 'masks/train/2.png: 31x20 pixels, but its image'),
    'a truncated image': (cut('images'), 'images/train/2.png: the image cannot be read'),
    'a truncated mask': (cut('masks'), 'masks/train/2.png: the label image cannot be read'),
    'a float image': (floats, 'images/train/2.png: the image cannot be read: it holds 32-bit float samples'),
}


@pytest.mark.parametrize('defect', DEFECTS)
def test_what_the_check_finds_is_refused_before_training(root, defect, monkeypatch):
    plant, words = DEFECTS[defect]
    plant(root)
    found = check(root).problems
    assert words in str(found[0])
    monkeypatch.setattr(contents, 'PIXELS', 1)  # the sample is one pair: the beginning of the file tells
    message = refusal(root)
    assert words in message
    assert 'python tools/check_dataset.py' in message
    require_data(config_of(leaf(root, 'val'), 'val'), ('val',))


def test_a_hidden_wrong_id_is_found_where_all_files_are_read(root):
    labels = mask()
    labels[0, 0] = 77
    save(root / 'masks/train/3.png', labels)
    assert 'masks/train/3.png: holds the label ids [77]' in refusal(root)


# classes


@pytest.mark.parametrize('split', ['train', 'val'])
def test_masks_of_0_and_255_are_refused(root, split):
    each_mask(root, lambda labels: np.where(labels > 0, 255, 0).astype(np.uint8), split)
    message = refusal(root, split)
    assert f'the label images of the {split} split hold a single class, 0 (ground)' in message
    assert 'masks of 0 and 255 must be 0 and 1' in message
    assert [problem.what for problem in check(root, split).problems] == [
        f'the label images of the {split} split hold a single class, 0 (ground)'
    ]


def test_masks_of_one_class_teach_nothing_but_may_be_tested_on(root):
    each_mask(root, np.zeros_like)
    each_mask(root, np.zeros_like, 'val')
    assert 'a network learns nothing from one class' in refusal(root)
    require_data(config_of(leaf(root, 'val'), 'val'), ('val',))


def test_masks_without_any_label_are_refused(root):
    each_mask(root, lambda labels: np.full_like(labels, 255))
    assert 'hold ignored pixels only' in refusal(root)


def test_a_rare_class_is_looked_for_beyond_the_sample(root, monkeypatch):
    for index in (0, 1, 2):
        save(root / f'masks/train/{index}.png', np.zeros((20, 30), np.uint8))
    monkeypatch.setattr(contents, 'PIXELS', 1)
    monkeypatch.setattr(contents, 'CHUNK', 1)
    read = []
    found = contents._classes_of
    monkeypatch.setattr(contents, '_classes_of', lambda pair: read.append(pair.label.name) or found(pair))
    require_data(config_of(leaf(root)), ('train',))
    assert read == ['0.png', '1.png', '2.png', '3.png']
    read.clear()
    save(root / 'masks/train/1.png', mask())
    require_data(config_of(leaf(root)), ('train',))
    assert read == ['0.png', '1.png']


def test_the_sample_is_as_large_as_is_affordable():
    sizes = [(1000, 1000)] * 500
    assert len(contents._sample(sizes)) == 50
    assert contents._sample(sizes)[0] == 0
    assert contents._sample(sizes)[-1] == 499
    assert contents._sample([(13500, 13500), None]) == [0]
    assert len(contents._sample([(10, 10)] * 1000)) == contents.MOST_READ
    assert contents._sample([None]) == []


# files


def test_images_left_out_for_their_suffix_are_named(root):
    image = root / 'images/train/2.png'
    image.rename(image.with_suffix('.PNG'))
    message = refusal(root)
    assert f'{root}/images/train/2.PNG: the image is left out' in message
    assert "img_suffix '.png'; rename it to end in .png" in message
    assert [problem.path.name for problem in check(root).problems] == ['2.PNG']


def test_a_missing_mask_is_named_with_the_one_whose_name_differs_in_case(root):
    label = root / 'masks/train/2.png'
    label.rename(label.with_suffix('.PNG'))
    assert '2.png, but there is 2.PNG, whose name differs in case' in refusal(root)


def test_a_missing_mask_is_named_with_the_one_in_another_form_of_unicode(root):
    """macOS takes an accent apart from its letter, other systems do not; both names look the same."""
    (root / 'images/train/2.png').rename(root / 'images/train/rue\u0301e.png')
    (root / 'masks/train/2.png').rename(root / 'masks/train/ru\u00e9e.png')
    assert 'but there is ru\u00e9e.png in another form of Unicode' in refusal(root)


def test_a_folder_in_the_place_of_a_mask_is_said_to_be_one(root):
    label = root / 'masks/train/2.png'
    label.unlink()
    label.mkdir()
    assert 'masks/train/2.png: it is a folder, not a file' in refusal(root)


def test_links_are_followed_and_broken_ones_are_named(root, tmp_path):
    image = root / 'images/train/2.png'
    image.rename(tmp_path / 'elsewhere.png')
    image.symlink_to(tmp_path / 'elsewhere.png')
    require_data(config_of(leaf(root)), ('train',))
    (tmp_path / 'elsewhere.png').unlink()
    assert f'2.png: the image is left out: it is a link to {tmp_path}/elsewhere.png' in refusal(root)
    assert [problem.path.name for problem in check(root).problems] == ['2.png']


def test_hidden_files_of_other_systems_are_no_images(root):
    for folder in ('images/train', 'masks/train'):
        for name in ('._0.png', '.DS_Store', 'Thumbs.db'):
            (root / folder / name).write_bytes(b'\0\5\26\7')
    require_data(config_of(leaf(root)), ('train',))
    assert check(root).problems == []


def test_an_image_of_another_kind_is_named_with_the_mask_that_waits_for_it(root):
    image = root / 'images/train/2.png'
    image.rename(image.with_suffix('.jpeg'))
    (problem,) = check(root).problems
    assert problem.what == 'the label image has no image *.png, but there is 2.jpeg'


@pytest.mark.parametrize('wrapper', ['ConcatDataset', 'RepeatDataset'])
def test_data_sets_inside_wrappers_are_looked_through(root, wrapper):
    jpeg(root)
    bad = leaf(root)
    inner = (
        {'dataset': bad, 'times': 2} if wrapper == 'RepeatDataset' else {'datasets': [leaf(root, 'val'), bad]}
    )
    with pytest.raises(DataError, match='lossy'):
        require_data(config_of({'type': wrapper, **inner}), ('train',))


def test_pipelines_that_cannot_be_followed_are_left_to_their_writer(root):
    jpeg(root)
    own = [{'type': 'LoadBiomedicalImageFromFile'}, {'type': 'LoadLabels'}]
    require_data(config_of(leaf(root, pipeline=own)), ('train',))


def test_label_images_of_more_than_8_bits_are_read_whole(root, monkeypatch):
    monkeypatch.setattr(contents, 'PIXELS', 1)
    labels = mask().astype(np.uint16)
    save(root / 'masks/train/2.png', labels)
    require_data(config_of(leaf(root)), ('train',))
    labels[0, 0] = 300
    save(root / 'masks/train/2.png', labels)
    assert 'masks/train/2.png: holds the label ids [300]' in refusal(root)
