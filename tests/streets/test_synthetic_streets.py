import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from cityscapesscripts.helpers.labels import id2label, labels, name2label
from cityscapesscripts.preparation.json2labelImg import json2labelImg
from PIL import Image

from infopro_seg.errors import DataError
from infopro_seg.streets.data_set import MANIFEST, PARTIAL, make_synthetic_streets

SIZE = (64, 128)
CLASSES = {label.trainId for label in labels if 0 <= label.trainId < 19}


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    out = tmp_path_factory.mktemp('streets') / 'set'
    make_synthetic_streets(out, train=4, val=2, size=SIZE, seed=3, workers=1)
    return out


@pytest.fixture
def small(drawn, tmp_path):
    """A copy that a test may spoil."""
    out = tmp_path / 'set'
    shutil.copytree(drawn, out)
    return out


def contents(out):
    return {
        str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob('*')) if path.is_file()
    }


def pixels(path):
    with Image.open(path) as picture:
        return np.array(picture)


def remake(out, **changes):
    make_synthetic_streets(out, **{'train': 4, 'val': 2, 'size': SIZE, 'seed': 3, 'workers': 1} | changes)


def test_layout_is_that_of_cityscapes(drawn):
    for split, count in (('train', 4), ('val', 2)):
        images = sorted((drawn / 'leftImg8bit' / split).glob('*/*_leftImg8bit.png'))
        assert len(images) == count
        expected = set()
        for image in images:
            stem = image.name.removesuffix('_leftImg8bit.png')
            city, sequence, frame = stem.split('_')
            assert city == image.parent.name
            assert (len(sequence), len(frame)) == (6, 6)
            assert (sequence + frame).isdigit()
            for kind in ('polygons.json', 'labelIds.png', 'labelTrainIds.png', 'color.png'):
                expected.add(f'gtFine/{split}/{city}/{stem}_gtFine_{kind}')
        found = (path for path in (drawn / 'gtFine' / split).rglob('*') if path.is_file())
        assert {str(path.relative_to(drawn)) for path in found} == expected


def test_train_and_val_share_no_city(drawn):
    train, val = ({path.name for path in (drawn / 'gtFine' / split).iterdir()} for split in ('train', 'val'))
    assert train
    assert val
    assert not train & val


def test_images_have_the_size_asked_for(drawn):
    image = next((drawn / 'leftImg8bit').rglob('*.png'))
    polygons = json.loads(next((drawn / 'gtFine').rglob('*.json')).read_text())
    assert pixels(image).shape == (*SIZE, 3)
    assert (polygons['imgHeight'], polygons['imgWidth']) == SIZE


@pytest.mark.parametrize(('kind', 'encoding'), [('labelIds', 'ids'), ('labelTrainIds', 'trainIds')])
def test_official_scripts_draw_the_same_labels(drawn, tmp_path, kind, encoding):
    files = sorted((drawn / 'gtFine').rglob('*_polygons.json'))
    assert len(files) == 6
    for polygons in files:
        json2labelImg(str(polygons), str(tmp_path / 'official.png'), encoding)
        ours = polygons.with_name(polygons.name.replace('polygons.json', f'{kind}.png'))
        np.testing.assert_array_equal(pixels(ours), pixels(tmp_path / 'official.png'))


def test_label_images_agree_with_each_other(drawn):
    for path in (drawn / 'gtFine').rglob('*_labelIds.png'):
        ids = pixels(path)
        train_ids = pixels(path.with_name(path.name.replace('labelIds', 'labelTrainIds')))
        color = pixels(path.with_name(path.name.replace('labelIds', 'color')))
        for value in np.unique(ids):
            assert set(train_ids[ids == value]) == {id2label[value].trainId % 256}
            assert set(map(tuple, color[ids == value][:, :3])) == {id2label[value].color}


def test_polygons_are_whole_pixels_inside_the_image(drawn):
    for path in (drawn / 'gtFine').rglob('*_polygons.json'):
        for item in json.loads(path.read_text())['objects']:
            polygon = np.array(item['polygon'])
            assert item['label'] in name2label
            assert polygon.dtype.kind == 'i'
            assert len(polygon) >= 3
            assert polygon.min() >= 0
            assert (polygon.max(axis=0) < SIZE[::-1]).all()


def test_every_class_and_void_occur(drawn):
    seen = set()
    for path in (drawn / 'gtFine').rglob('*_labelTrainIds.png'):
        seen |= set(np.unique(pixels(path)).tolist())
    assert seen == CLASSES | {255}


def test_labels_lie_on_what_is_drawn(drawn):
    """Sky is brighter than road, and the image has its edges where labels change."""
    for path in (drawn / 'leftImg8bit').rglob('*.png'):
        stem = path.name.replace('_leftImg8bit.png', '_gtFine_labelIds.png')
        ids = pixels(next((drawn / 'gtFine').rglob(stem)))
        gray = pixels(path).mean(axis=2)
        assert gray[ids == name2label['sky'].id].mean() > gray[ids == name2label['road'].id].mean()
        edges = np.abs(np.diff(gray, axis=1))
        borders = np.diff(ids.astype(int), axis=1) != 0
        assert edges[borders].mean() > 1.5 * edges[~borders].mean()


def test_bytes_do_not_depend_on_workers(drawn, tmp_path):
    make_synthetic_streets(tmp_path / 'set', train=4, val=2, size=SIZE, seed=3, workers=2)
    assert contents(tmp_path / 'set') == contents(drawn)


def test_frames_do_not_depend_on_how_many_there_are(drawn, tmp_path):
    make_synthetic_streets(tmp_path / 'set', train=1, val=1, size=SIZE, seed=3, workers=1)
    fewer, more = contents(tmp_path / 'set'), contents(drawn)
    assert {name: more.get(name) for name in fewer if name != MANIFEST} == {
        name: data for name, data in fewer.items() if name != MANIFEST
    }


def test_another_seed_gives_other_streets(drawn, tmp_path):
    make_synthetic_streets(tmp_path / 'set', train=1, val=0, size=SIZE, seed=4, workers=1)
    other, first = contents(tmp_path / 'set'), contents(drawn)
    for name in other:
        if name != MANIFEST:
            assert other[name] != first[name]


def test_a_finished_set_is_left_alone(small, caplog):
    before = {path: path.stat().st_mtime_ns for path in small.rglob('*')}
    with caplog.at_level('INFO'):
        remake(small)
    assert {path: path.stat().st_mtime_ns for path in small.rglob('*')} == before
    assert 'nothing to do' in caplog.text


def test_an_interrupted_set_is_completed(small, drawn):
    (small / MANIFEST).rename(small / PARTIAL)
    for path in sorted(small.rglob('*_labelIds.png'))[:2] + sorted(small.rglob('*_leftImg8bit.png'))[-1:]:
        path.unlink()
    remake(small)
    assert contents(small) == contents(drawn)


def test_an_interrupted_other_set_needs_force(small):
    (small / MANIFEST).rename(small / PARTIAL)
    with pytest.raises(DataError, match=r'unfinished set with seed 3 instead of 5.*--force'):
        remake(small, seed=5)


def test_another_set_is_replaced_only_with_force(small, tmp_path):
    before = contents(small)
    with pytest.raises(DataError, match=r'train 4 instead of 1.*--force'):
        remake(small, train=1, val=1)
    assert contents(small) == before
    remake(small, train=1, val=1, force=True)
    make_synthetic_streets(tmp_path / 'fresh', train=1, val=1, size=SIZE, seed=3, workers=1)
    assert contents(small) == contents(tmp_path / 'fresh')


@pytest.mark.parametrize('force', [False, True])
def test_a_real_data_set_is_never_touched(tmp_path, force):
    real = tmp_path / 'leftImg8bit' / 'train' / 'aachen' / 'aachen_000000_000019_leftImg8bit.png'
    real.parent.mkdir(parents=True)
    real.write_bytes(b'precious')
    with pytest.raises(DataError, match=r'contains leftImg8bit .*not a synthetic set'):
        remake(tmp_path, force=force)
    assert contents(tmp_path) == {str(real.relative_to(tmp_path)): b'precious'}


@pytest.mark.parametrize('folder', ['val/frankfurt', 'val/tannheim', 'val', ''])
def test_foreign_files_in_a_synthetic_set_are_named_and_kept(small, folder):
    real = small / 'gtFine' / folder / 'frankfurt_000000_000294_gtFine_color.png'
    real.parent.mkdir(parents=True, exist_ok=True)
    real.write_bytes(b'precious')
    before = contents(small)
    with pytest.raises(DataError, match=r'frankfurt_000000_000294_gtFine_color\.png was not drawn'):
        remake(small, seed=9, force=True)
    assert contents(small) == before


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'train': -1}, 'cannot draw -1 train images'),
        ({'val': -7}, 'cannot draw -7 val images'),
        ({'train': 0, 'val': 0}, 'at least one'),
        ({'size': (8, 16)}, r'8x16 is too small.*smallest is 48x64'),
        ({'size': (512, 256)}, 'aspect of 0.50'),
        ({'seed': -3}, 'seed -3 is negative'),
        ({'workers': 0}, '0 workers'),
    ],
)
def test_absurd_arguments_are_named_before_anything_is_written(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        remake(tmp_path / 'set', **changes)
    assert not (tmp_path / 'set').exists()


def test_the_smallest_size_can_be_drawn(tmp_path):
    make_synthetic_streets(tmp_path, train=0, val=1, size=(48, 64), seed=0, workers=1)
    assert pixels(next(tmp_path.rglob('*_leftImg8bit.png'))).shape == (48, 64, 3)


def test_out_may_not_be_a_file(tmp_path):
    out = Path(tmp_path / 'file')
    out.touch()
    with pytest.raises(DataError, match='is a file; name a folder'):
        remake(out)
