import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image

from infopro_seg.datasets.checks.command import check_dataset
from infopro_seg.datasets.checks.inspection import IGNORED, Loading, Pair
from infopro_seg.datasets.checks.samples import choose_samples
from infopro_seg.datasets.checks.warnings import warnings_of
from infopro_seg.datasets.checks.whole_split import check_split
from infopro_seg.datasets.image_headers import read_header
from infopro_seg.errors import ConfigError, DataError, UserError

CLASSES = ('ground', 'leaf', 'stem', 'root')
SIZES = [(20, 30), (20, 30), (24, 16), (20, 30), (24, 16), (20, 30)]  # height, width
MEAN, STD = [127.5] * 3, [74.0] * 3  # of uniform noise
LOADERS = [{'type': 'LoadImage'}, {'type': 'LoadLabels', 'num_classes': len(CLASSES)}]
ROOT = Path(__file__).parents[3]


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """Six clean pairs."""
    root = tmp_path_factory.mktemp('data')
    rng = np.random.default_rng(5)
    for index, size in enumerate(SIZES):
        save(root / f'images/{index}.png', rng.integers(0, 256, (*size, 3), dtype=np.uint8))
        labels = rng.integers(0, len(CLASSES), size, dtype=np.uint8)
        labels[:2] = IGNORED
        save(root / f'masks/{index}.png', labels)
    return root


@pytest.fixture
def root(made, tmp_path):
    """A copy that a test may spoil."""
    return Path(shutil.copytree(made, tmp_path / 'data'))


def leaf(root, **changes):
    return {
        'type': 'BaseSegDataset',
        'data_root': str(root),
        'data_prefix': {'img_path': 'images', 'seg_map_path': 'masks'},
        'img_suffix': '.png',
        'metainfo': {'classes': CLASSES},
        'pipeline': LOADERS,
        **changes,
    }


def config_of(dataset, mean=MEAN, std=STD, bgr_to_rgb=True, **more):
    preprocessor = {'type': 'SegDataPreProcessor', 'mean': mean, 'std': std, 'bgr_to_rgb': bgr_to_rgb}
    content = {
        'model': {'data_preprocessor': preprocessor, 'decode_head': {'num_classes': len(CLASSES)}},
        'train_dataloader': {'dataset': dataset},
        **more,
    }
    return Config(content)


def check(dataset, **kwargs):
    return check_split(config_of(dataset, **kwargs), workers=1)


def stored(root):
    """Images as RGB and label images as they are in the files, in order."""
    return tuple(
        [np.array(Image.open(path)) for path in sorted((root / kind).glob('*.png'))]
        for kind in ('images', 'masks')
    )


def loaded_labels(dataset):
    """What mmseg's own pipeline makes of each label image."""
    built = DATASETS.build({**dataset, 'pipeline': [{'type': 'LoadAnnotations'}]})
    return [built[index]['gt_seg_map'] for index in range(len(built))]


# clean data


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


# defects


def truncate(root):
    path = root / 'images/2.png'
    path.write_bytes(path.read_bytes()[:-200])


def deep(root):
    save(root / 'masks/2.png', np.full(SIZES[2], 300, dtype=np.uint16))


def relabel(value):
    def change(root):
        path = root / 'masks/2.png'
        labels = np.array(Image.open(path))
        labels[5:7, 3:5] = value
        save(path, labels)

    return change


DEFECTS = {
    'missing label': (
        lambda root: (root / 'masks/2.png').unlink(),
        'masks/2.png',
        'the label image is missing',
        r'draw it, or remove its image .*images/2\.png',
    ),
    'label without image': (
        lambda root: (root / 'images/2.png').unlink(),
        'masks/2.png',
        'the label image has no image',
        r'add its image \*\.png',
    ),
    'truncated image': (truncate, 'images/2.png', 'the image cannot be read: image file is trunc', 'replace'),
    'empty image': (
        lambda root: (root / 'images/2.png').write_bytes(b''),
        'images/2.png',
        'the image cannot be read: the file is empty',
        'replace',
    ),
    'text as label': (
        lambda root: (root / 'masks/2.png').write_text('hello'),
        'masks/2.png',
        'the label image cannot be read: the file is no image',
        'replace',
    ),
    'other size': (
        lambda root: save(root / 'masks/2.png', np.zeros((24, 17), np.uint8)),
        'masks/2.png',
        r'17x24 pixels, but its image .*images/2\.png is 16x24',
        'same size',
    ),
    'colours': (
        lambda root: save(root / 'masks/2.png', np.zeros((*SIZES[2], 3), np.uint8)),
        'masks/2.png',
        r'holds colours \(RGB 8 bit\)',
        'gray 8-bit PNG',
    ),
    'ids above a byte': (deep, 'masks/2.png', r'label ids \[300\] \(100\.00% of its', 'convert the labels'),
    'ids outside': (
        relabel(7),
        'masks/2.png',
        r'label ids \[7\] \(1\.04% of its pixels\), but the 4 classes are 0 to 3 and 255',
        'convert the labels',
    ),
}


@pytest.mark.parametrize('defect', DEFECTS)
def test_every_defect_is_named_with_its_file_and_remedy(root, defect):
    plant, path, what, remedy = DEFECTS[defect]
    plant(root)
    (problem,) = check(leaf(root)).problems
    assert problem.path == root / path
    assert re.search(what, problem.what)
    assert re.search(remedy, problem.remedy)


def test_a_listed_image_that_is_missing_is_named(root):
    (root / 'list.txt').write_text('0\n1\n9\n')
    report = check(leaf(root, ann_file='list.txt'))
    assert [(problem.path.name, problem.what) for problem in report.problems] == [
        ('9.png', 'the image is missing'),
        ('9.png', 'the label image is missing'),
    ]


def test_a_truncated_jpeg_is_found_whatever_opencv_makes_of_it(root):
    for path in (root / 'images').iterdir():
        picture = Image.open(path).resize((640, 480))
        path.unlink()
        picture.save(path.with_suffix('.jpg'))
    for path in (root / 'masks').iterdir():
        save(path, np.repeat([[0], [1]], 240, axis=0).astype(np.uint8).repeat(640, axis=1))
    broken = root / 'images/4.jpg'
    broken.write_bytes(broken.read_bytes()[:-3000])
    (problem,) = check(leaf(root, img_suffix='.jpg')).problems
    assert problem.path == broken
    assert 'truncated' in problem.what


def test_ids_are_named_as_the_file_holds_them(root):
    relabel(9)(root)
    problems = check(leaf(root, reduce_zero_label=True, metainfo={'classes': CLASSES[1:]})).problems
    head, ids = problems
    assert 'label ids [9], which are read as [8]' in ids.what
    assert 'decode_head.num_classes is 4, but the data set has 3 classes' in head.what


def test_palette_and_one_bit_labels_are_read_as_ids(root):
    labels = np.array(Image.open(root / 'masks/2.png'))
    picture = Image.fromarray(labels, mode='P')
    picture.putpalette([7] * 768)
    picture.save(root / 'masks/2.png')
    Image.fromarray(np.ones(SIZES[3], dtype=bool)).save(root / 'masks/3.png')
    report = check(leaf(root))
    assert report.problems == []
    assert dict(report.label_modes) == {'gray 8 bit': 4, 'palette 8 bit': 1, 'gray 1 bit': 1}
    labels = loaded_labels(leaf(root))
    np.testing.assert_array_equal(
        report.pixels, np.bincount(np.concatenate([label.reshape(-1) for label in labels]), minlength=256)
    )


def test_counts_and_defects_do_not_depend_on_each_other(root):
    truncate(root)
    (root / 'masks/4.png').unlink()
    report = check(leaf(root))
    assert len(report.problems) == 2
    assert report.labels == 5
    assert sum(report.sizes.values()) == 5
    assert [pair.image.stem for pair, _ in report.usable] == ['0', '1', '3', '5']


# warnings


def each_mask(root, change):
    for path in (root / 'masks').iterdir():
        save(path, change(np.array(Image.open(path))))


def test_classes_that_never_occur_are_named(root):
    each_mask(root, lambda labels: np.where(labels == 2, 3, labels).astype(np.uint8))
    report = check(leaf(root))
    (text,) = warnings_of(report)
    assert report.problems == []
    assert 'holds 1 of the 4 classes: stem;' in text


def test_masks_of_0_and_255_get_a_hint(root):
    each_mask(root, lambda labels: np.where(labels > 1, 255, 0).astype(np.uint8))
    dataset = leaf(root, metainfo={'classes': ('ground', 'plant')})
    assert 'masks of 0 and 255 must be 0 and 1' in warnings_of(check(dataset))[0]


def test_labels_that_are_ignored_are_counted(root):
    for name in ('0', '1', '3', '4'):
        path = root / f'masks/{name}.png'
        save(path, np.full_like(np.array(Image.open(path)), IGNORED))
    texts = warnings_of(check(leaf(root)))
    assert any('of the labelled pixels are ignored' in text for text in texts)
    assert any('ignored in every pixel: 4, e.g. ' in text for text in texts)


@pytest.mark.parametrize(
    ('mean', 'std', 'far'),
    [
        ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225], True),
        ([127.5, 127.5, 10.0], STD, True),
        (MEAN, [30.0] * 3, True),
        ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375], False),
        (None, None, False),
    ],
)
def test_means_far_from_the_config_are_told(made, mean, std, far):
    texts = warnings_of(check(leaf(made), mean=mean, std=std))
    assert any('far from the mean' in text for text in texts) == far


def test_images_of_other_modes_are_told(root):
    save(root / 'images/0.png', np.full((*SIZES[0], 4), 128, dtype=np.uint8))
    gray = np.arange(600, dtype=np.uint16).reshape(SIZES[1]) * 100
    save(root / 'images/1.png', gray)
    report = check(leaf(root))
    texts = ' '.join(warnings_of(report))
    assert report.problems == []
    assert 'images of more than 8 bits per channel: 1;' in texts
    assert 'images with an alpha channel: 1;' in texts
    assert '4 RGB 8 bit, 1 RGBA 8 bit, 1 gray 16 bit' in texts


def test_modes_are_read_from_the_header(tmp_path):
    pictures = {
        'rgb16.png': (np.zeros((4, 4, 3), np.uint16), 'RGB 16 bit'),
        'rgb16.tiff': (np.zeros((4, 4, 3), np.uint16), 'RGB 16 bit'),
        'deep.hdr': (np.zeros((4, 4, 3), np.float32), 'unknown'),  # which Pillow does not read
        'gray.tiff': (np.zeros((4, 4), np.uint8), 'gray 8 bit'),
        'gray16.tiff': (np.zeros((4, 4), np.uint16), 'gray 16 bit'),
        'rgb.jpg': (np.zeros((4, 4, 3), np.uint8), 'RGB 8 bit'),
        'gray.bmp': (np.zeros((4, 4), np.uint8), 'gray 8 bit'),
    }
    for name, (values, mode) in pictures.items():
        cv2.imwrite(str(tmp_path / name), values)
        assert read_header((tmp_path / name).read_bytes()).mode in (mode, 'palette 8 bit'), name


# errors


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        ({'data_prefix': {'img_path': 'none'}}, DataError, r'no folder .*data/none; correct the paths'),
        ({'img_suffix': '.tif'}, DataError, r'no \*\.tif in .*images, which holds 6 \*\.png'),
        ({'type': 'Nonsense'}, ConfigError, 'cannot build the train data set Nonsense'),
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
    with pytest.raises(DataError, match='make it with: draw --all'):
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


# the command


@pytest.fixture
def config_file(root, tmp_path):
    path = tmp_path / 'my.py'
    path.write_text(config_of(leaf(root)).pretty_text)
    return path


def test_exit_status_and_files(config_file, root, tmp_path, capsys):
    out, written = tmp_path / 'out', tmp_path / 'report.json'
    relabel(7)(root)
    assert check_dataset(config_file, out=out, workers=1, json_file=written) == 1
    shown = capsys.readouterr().out
    assert f'problem: {root}/masks/2.png: holds the label ids [7]' in shown
    report = json.loads(written.read_text())
    assert [Path(item['path']).name for item in report['problems']] == ['2.png']
    assert report['pixels_outside_the_classes'] == 4
    assert (out / 'train_problems.txt').read_text().count('\n') == 1

    relabel(0)(root)
    assert check_dataset(config_file, out=out, workers=1, json_file=written) == 0
    assert json.loads(written.read_text())['problems'] == []
    assert sorted(path.name for path in out.iterdir()) == ['train_classes.png', 'train_samples.png']
    for path in out.iterdir():
        picture = cv2.imread(str(path))
        assert len(np.unique(picture[..., 0])) > 50


def test_many_problems_are_listed_in_a_file(config_file, root, tmp_path, capsys):
    for index in range(30):
        save(root / f'masks/lonely{index}.png', np.zeros((4, 4), np.uint8))
    assert check_dataset(config_file, out=tmp_path / 'out', workers=1) == 1
    assert '... and 10 more' in capsys.readouterr().out
    assert (tmp_path / 'out/train_problems.txt').read_text().count('has no image') == 30


def test_nothing_readable_is_reported_not_raised(config_file, root, tmp_path):
    for path in (*(root / 'images').iterdir(), *(root / 'masks').iterdir()):
        path.write_bytes(b'x')
    assert check_dataset(config_file, out=tmp_path / 'out', workers=1) == 1
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['train_problems.txt']


def test_out_may_not_be_a_file(config_file):
    with pytest.raises(UserError, match='is a file; name a folder'):
        check_dataset(config_file, out=config_file)


def test_help_and_workers_do_without_torch():
    code = (
        'import runpy, sys\n'
        'import infopro_seg.datasets.checks.inspection\n'
        "sys.argv = ['check_dataset.py', '--help']\n"
        'try:\n'
        f"    runpy.run_path({str(ROOT / 'tools/check_dataset.py')!r}, run_name='__main__')\n"
        'except SystemExit as end:\n'
        "    sys.exit(end.code or 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '--split' in done.stdout


def test_the_tool_exits_with_the_commands_status(config_file, root, tmp_path, monkeypatch):
    argv = ['check_dataset.py', str(config_file), '--out', str(tmp_path / 'out'), '--workers', '1']
    for damage, status in ((None, 0), (truncate, 1), (lambda _: shutil.rmtree(root), 2)):
        if damage:
            damage(root)
        monkeypatch.setattr(sys, 'argv', argv)
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(ROOT / 'tools/check_dataset.py'), run_name='__main__')
        assert end.value.code == status


def test_samples_show_rare_classes():
    loading = Loading(np.arange(256, dtype=np.uint8), 4)
    usable = []
    for index in range(40):
        present = np.zeros(256, dtype=bool)
        present[[0, IGNORED]] = True
        present[1] = index == 17
        present[2] = index in (23, 24)
        usable.append((Pair(Path(f'{index}'), None, loading), present))
    names = [int(pair.image.name) for pair in choose_samples(usable, 8)]
    assert len(names) == 8
    assert names == sorted(set(names))
    assert 17 in names
    assert {23, 24} & set(names)
    assert names[0] < 5
    assert names[-1] > 35
