import json
import shutil

import numpy as np
import pytest
from cityscapesscripts.preparation.json2labelImg import json2labelImg
from PIL import Image

from infopro_seg.datasets.cityscapes import COUNTS, prepare_cityscapes, train_ids_path
from infopro_seg.streets.data_set import make_synthetic_streets

SMALL = {'train': 3, 'val': 2}


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    out = tmp_path_factory.mktemp('cityscapes') / 'drawn'
    make_synthetic_streets(out, **SMALL, size=(48, 96), seed=1, workers=1)
    return out


@pytest.fixture
def root(drawn, tmp_path):
    """Cityscapes as it is unpacked: no train ids yet."""
    root = tmp_path / 'cityscapes'
    for kind in ('leftImg8bit', 'gtFine'):
        shutil.copytree(drawn / kind, root / kind)
    for path in root.rglob('*_labelTrainIds.png'):
        path.unlink()
    return root


def pixels(path):
    with Image.open(path) as picture:
        return np.array(picture)


def described(problems):
    return [str(problem) for problem in problems]


@pytest.mark.parametrize('workers', [1, 2])
def test_conversion_equals_the_official_one(root, tmp_path, workers):
    assert prepare_cityscapes(root, workers, counts=SMALL) == []
    files = sorted((root / 'gtFine').rglob('*_polygons.json'))
    assert len(files) == 5
    for polygons in files:
        json2labelImg(str(polygons), str(tmp_path / 'official.png'), 'trainIds')
        np.testing.assert_array_equal(pixels(train_ids_path(polygons)), pixels(tmp_path / 'official.png'))
    assert not [path for path in root.rglob('*') if path.name.endswith('.tmp')]


def test_only_what_is_missing_is_converted(root):
    prepare_cityscapes(root, 1, counts=SMALL)
    kept, gone = sorted((root / 'gtFine').rglob('*_labelTrainIds.png'))[:2]
    kept.write_bytes(b'mine')
    gone.unlink()
    assert prepare_cityscapes(root, 1, counts=SMALL) == []
    assert kept.read_bytes() == b'mine'
    assert pixels(gone).shape == (48, 96)


def test_the_real_counts_are_expected_by_default(root):
    assert COUNTS == {'train': 2975, 'val': 500}
    messages = described(prepare_cityscapes(root, 1))
    assert len(messages) == 4
    assert f'{root}/leftImg8bit/train: holds 3 of 2975 images' in messages[0]
    assert f'{root}/gtFine/val: holds 2 of 500 annotations' in messages[3]
    assert all('csDownload' in message for message in messages)


def test_missing_folder_says_where_to_get_it(tmp_path):
    (message,) = described(prepare_cityscapes(tmp_path / 'none'))
    assert 'no such folder' in message
    assert 'https://www.cityscapes-dataset.com' in message
    assert 'csDownload leftImg8bit_trainvaltest.zip gtFine_trainvaltest.zip' in message


def test_missing_half_names_its_own_archive(root):
    shutil.rmtree(root / 'leftImg8bit')
    (message,) = described(prepare_cityscapes(root, 1, counts=SMALL))
    assert message.startswith(f'{root}/leftImg8bit: missing')
    assert 'leftImg8bit_trainvaltest.zip' in message
    assert 'gtFine_trainvaltest.zip' not in message


def test_a_missing_image_is_named(root):
    image = next((root / 'leftImg8bit' / 'val').rglob('*.png'))
    stem = image.name.removesuffix('_leftImg8bit.png')
    image.unlink()
    count, lonely = described(prepare_cityscapes(root, 1, counts=SMALL))
    assert 'leftImg8bit/val: holds 1 of 2 images' in count
    assert f'{stem}_gtFine_polygons.json: has no image' in lonely


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('{"imgHeight": 4', 'JSONDecodeError'),
        ('{}', 'KeyError'),
        (
            json.dumps({'imgHeight': 4, 'imgWidth': 4, 'objects': [{'label': 'moon', 'polygon': [[0, 0]]}]}),
            "unknown label 'moon'",
        ),
    ],
)
def test_a_broken_annotation_is_named_and_the_rest_converted(root, text, reason):
    broken, *others = sorted((root / 'gtFine').rglob('*_polygons.json'))
    broken.write_text(text)
    (message,) = described(prepare_cityscapes(root, 1, counts=SMALL))
    assert message.startswith(f'{broken}: cannot be converted')
    assert reason in message
    assert not train_ids_path(broken).exists()
    assert all(train_ids_path(path).is_file() for path in others)
