import runpy
import shutil
import sys

import numpy as np
import pytest
from mmengine.registry import TRANSFORMS
from mmseg.registry import DATASETS
from PIL import Image

import infopro_seg.register  # noqa: F401
from infopro_seg.config_files import load_config
from infopro_seg.datasets import camvid_folder
from infopro_seg.datasets.camvid_folder import CLASSES, IGNORED, VOID, check_camvid
from tests.runs import ROOT

SMALL = {'train': 2, 'val': 1, 'test': 1}
HEIGHT, WIDTH = 6, 8
IDS = np.arange(HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH) % (VOID + 1)


def draw(root, suffix):
    for split, count in SMALL.items():
        for folder in (split, f'{split}annot'):
            (root / folder).mkdir(parents=True)
        for index in range(count):
            picture = np.full((HEIGHT, WIDTH, 3), 40 * index, np.uint8)
            Image.fromarray(picture).save(root / split / f'0001TP_{index}{suffix}')
            Image.fromarray(IDS).save(root / f'{split}annot' / f'0001TP_{index}.png')
    return root


@pytest.fixture(params=['.png', '.jpg'])
def folder(request, tmp_path):
    return draw(tmp_path / 'camvid', request.param)


def test_a_complete_folder_has_no_problem_and_stays_as_it_is(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob('*')}
    assert check_camvid(folder, SMALL) == []
    assert {path: path.stat().st_mtime_ns for path in folder.rglob('*')} == before


def test_void_is_ignored_and_the_classes_stay(folder):
    dataset = DATASETS.build(
        {
            'type': 'CamVidDataset',
            'data_root': str(folder),
            'data_prefix': {'img_path': 'train', 'seg_map_path': 'trainannot'},
            'pipeline': [{'type': 'LoadImage'}, {'type': 'LoadLabels', 'num_classes': len(CLASSES)}],
        }
    )
    assert len(dataset) == SMALL['train']
    assert dataset.metainfo['classes'] == tuple(CLASSES)
    assert len(dataset.metainfo['palette']) == len(CLASSES) == 11
    expected = np.where(IDS == 11, 255, IDS)
    np.testing.assert_array_equal(dataset[1]['gt_seg_map'], expected)


def test_fewer_classes_take_their_own_ids_and_colours(folder):
    dataset = DATASETS.build(
        {
            'type': 'CamVidDataset',
            'data_root': str(folder),
            'data_prefix': {'img_path': 'val', 'seg_map_path': 'valannot'},
            'metainfo': {'classes': ('road', 'car')},
            'pipeline': [{'type': 'LoadImage'}, {'type': 'LoadLabels', 'num_classes': 2}],
        }
    )
    expected = np.full_like(IDS, IGNORED)
    expected[IDS == 3], expected[IDS == 8] = 0, 1
    np.testing.assert_array_equal(dataset[0]['gt_seg_map'], expected)
    assert dataset.metainfo['palette'] == [[128, 64, 128], [64, 0, 128]]


def test_the_config_reads_each_split(folder):
    config = load_config(ROOT / 'configs' / 'deeplabv3_r50_infopro_camvid.py')
    for split, count in SMALL.items():
        loader = config[f'{split}_dataloader']
        loader.dataset.data_root = str(folder)
        dataset = DATASETS.build(loader.dataset)
        assert len(dataset) == count
        labels = dataset[0]['data_samples'].gt_sem_seg.data
        assert set(labels.unique().tolist()) <= {*range(len(CLASSES)), IGNORED}
        if split != 'train':
            assert labels.shape == (1, HEIGHT, WIDTH)
    assert len(TRANSFORMS.build(config.tta_pipeline[-1]).subroutines) == 12


def colour(path):
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(path)


def other_classes(path):
    Image.fromarray(IDS + 20).save(path)


def wider(path):
    Image.fromarray(np.zeros((HEIGHT, WIDTH + 1), np.uint8)).save(path)


SPOIL = {
    'no annotations': (
        lambda root: shutil.rmtree(root / 'valannot'),
        ['valannot: no such folder', 'git clone'],
    ),
    'an image without': (
        lambda root: (root / 'trainannot' / '0001TP_1.png').unlink(),
        ['holds 1 label images, not 2', '0001TP_1.png: has no label image'],
    ),
    'a label image without': (
        lambda root: (root / 'test' / '0001TP_0.png').unlink(),
        ['holds 0 images *.png, not 1', 'has no image'],
    ),
    'other classes': (
        lambda root: other_classes(root / 'trainannot' / '0001TP_0.png'),
        ['the ids [20, 21,', '11 classes are 0 to 10, and 11 is void', 'not those of 32'],
    ),
    'colours': (lambda root: colour(root / 'trainannot' / '0001TP_0.png'), ['RGB', 'one id for each pixel']),
    'sizes': (
        lambda root: wider(root / 'valannot' / '0001TP_0.png'),
        ['is 9x6 pixels, but its image is 8x6', 'the same size'],
    ),
    'damage': (
        lambda root: (root / 'valannot' / '0001TP_0.png').write_bytes(b'no image'),
        ['cannot be read', 'replace it'],
    ),
    'damaged image': (lambda root: (root / 'val' / '0001TP_0.png').write_bytes(b''), ['cannot be read']),
    'two kinds': (
        lambda root: shutil.copy(root / 'train' / '0001TP_0.png', root / 'train' / '0001TP_9.jpg'),
        ['0001TP_9.jpg: is no *.png', 'one suffix'],
    ),
    'the wrong folder': (shutil.rmtree, ['camvid: no such folder', 'git clone']),
}


@pytest.mark.parametrize('spoil', SPOIL)
def test_what_is_wrong_is_named_with_its_remedy(tmp_path, spoil):
    change, words = SPOIL[spoil]
    root = draw(tmp_path / 'camvid', '.png')
    change(root)
    found = '\n'.join(map(str, check_camvid(root, SMALL)))
    assert all(word in found for word in words), found


def prepare(root, monkeypatch):
    monkeypatch.setattr(camvid_folder, 'COUNTS', SMALL)
    monkeypatch.setattr(sys, 'argv', ['prepare_camvid.py', str(root)])
    with pytest.raises(SystemExit) as exited:
        runpy.run_path(str(ROOT / 'tools' / 'prepare_camvid.py'), run_name='__main__')
    return exited.value.code


def test_the_tool_says_whether_the_folder_is_complete(folder, monkeypatch, capsys):
    assert prepare(folder, monkeypatch) == 0
    told = capsys.readouterr()
    assert 'is complete: 2 train, 1 val, 1 test images' in told.out
    assert f'ln -s {folder.resolve()} data/camvid' in told.out
    shutil.rmtree(folder / 'testannot')
    assert prepare(folder, monkeypatch) == 1
    assert 'testannot: no such folder' in capsys.readouterr().err


def test_label_images_without_a_class_are_told(folder):
    for path in folder.glob('*annot/*.png'):
        Image.fromarray(np.minimum(IDS, 4)).save(path)
    [problem] = check_camvid(folder, SMALL)
    assert problem.path == folder
    assert problem.what == 'no label image has a pixel of tree, sign, fence, car, pedestrian, bicyclist'


def test_suffixes_in_capitals_are_told_once(folder):
    for path in list((folder / 'train').iterdir()):
        path.rename(path.with_suffix(path.suffix.upper()))
    [problem] = check_camvid(folder, SMALL)
    assert problem.what == f'ends in {problem.path.suffix}'
    assert problem.remedy == f'rename this and its like to *{problem.path.suffix.lower()}'


def test_a_file_in_place_of_the_folder_is_told(tmp_path):
    (tmp_path / 'camvid.zip').touch()
    [problem] = check_camvid(tmp_path / 'camvid.zip', SMALL)
    assert problem.what == 'is a file'
