"""The commands and the Python of the pages run, on a tiny network and images of a few pixels.

What would need Cityscapes, a GPU or minutes is only parsed, see test_parsed_commands.
"""

import shutil

import cv2
import numpy as np
import pytest

from infopro_seg.memory.search import recipe_search
from tests.docs.shell import PAGES, blocks, calls
from tests.runs import ROOT, SIZE, STOPPED, images, read_png, tiny_options, write_config
from tests.test_tools import call

GIVEN = {'CONFIG': 'CONFIG.py', 'FILE': f'work_dirs/CONFIG/iter_{STOPPED}.pth'}
LONG = {'-m', 'plan.py', 'benchmark.py', 'compare.py', 'probe.py'}  # also with this network

pytestmark = pytest.mark.filterwarnings('ignore:.* instance named of:UserWarning')


def page(name):
    return ROOT / 'docs' / name


@pytest.fixture(scope='module', autouse=True)
def _planned_once():
    """The commands with --fit start from the same measurements of the network's blocks, by two policies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe_search, 'POLICIES', ('none', 'blocks'))
        yield


@pytest.fixture(scope='module')
def place(streets, checkpoint, tmp_path_factory):
    """A folder with what the pages' commands name."""
    place = tmp_path_factory.mktemp('place')
    write_config(place / 'CONFIG.py', tiny_options(streets, work_dir='work_dirs/CONFIG'))
    demo = place / 'work_dirs' / 'demo'
    demo.mkdir(parents=True)
    shutil.copy(place / 'CONFIG.py', demo)
    for file in ('CKPT', 'work_dirs/demo/iter_700.pth'):
        shutil.copy(checkpoint, place / file)
    (place / 'photos').mkdir()
    first, second = images(streets, 'val')[:2]
    shutil.copy(first, place / 'street.png')
    shutil.copy(second, place / 'photos')
    shutil.copytree(place / 'photos', place / 'frames')
    picture = cv2.imread(str(first))
    cv2.imwrite(str(place / 'ortho.tif'), picture)
    video = cv2.VideoWriter(str(place / 'drive.mp4'), cv2.VideoWriter.fourcc(*'mp4v'), 12, SIZE[::-1])
    video.write(picture)
    video.release()
    return place


def short_calls():
    """The calls for any config, each once however many pages show it and wherever it writes."""
    unique = {}
    for program, *words in (found for page in PAGES for found in calls(page)):
        tool = words[0].removeprefix('tools/')
        long = program != 'python' or tool in LONG or 'onnx' in words
        if not long and {'CONFIG', 'CKPT'} & set(words):
            unique.setdefault((tool, len(words), *(word for word in words if word.startswith('--'))), words)
    return sorted(unique.values(), key=lambda words: (words[0], 'FILE' in words))


@pytest.mark.parametrize('words', short_calls(), ids=' '.join)
def test_it_runs(words, place, monkeypatch):
    monkeypatch.chdir(place)
    tool = words[0].removeprefix('tools/')
    given = [GIVEN.get(word, word) for word in words[1:]]
    assert not call(tool, *given, monkeypatch=monkeypatch)
    for option in ('--out', '--json'):
        assert option not in given or (place / given[given.index(option) + 1]).exists()


def test_the_python_of_the_page_of_prediction(place, monkeypatch):
    [code] = blocks(page('predict.md'), 'python')
    monkeypatch.chdir(place)
    found = {}
    exec(code, found)
    assert found['labels'].shape == found['ids'].shape == SIZE
    call('predict.py', 'CONFIG.py', 'CKPT', 'street.png', '--out', 'again', monkeypatch=monkeypatch)
    assert np.array_equal(read_png(place / 'again' / 'street_labels.png'), found['ids'])


def test_a_data_set_of_one_s_own(tmp_path, monkeypatch):
    """The page's mask becomes label images of two classes; its check finds them sound."""
    [code] = blocks(page('custom_dataset.md'), 'python')
    monkeypatch.chdir(tmp_path)
    cv2.imwrite('mask.png', np.repeat(np.array([[0, 255]], np.uint8), 24, axis=0).repeat(24, axis=1))
    for split in ('train', 'val'):
        for kind in ('images', 'masks'):
            (tmp_path / 'data/custom' / kind / split).mkdir(parents=True)
        photo = np.full((24, 48, 3), 128, np.uint8)
        cv2.imwrite(f'data/custom/images/{split}/17.jpg', photo)
    exec(code, {})
    assert np.unique(read_png(tmp_path / 'data/custom/masks/train/17.png')).tolist() == [0, 1]
    shutil.copy('data/custom/masks/train/17.png', 'data/custom/masks/val')
    checks = [words for _, *words in calls(page('custom_dataset.md')) if words[0] == 'tools/check_dataset.py']
    assert len(checks) == 2
    for _, config, *words in checks:
        given = [ROOT / config, *words, '--workers', '1']
        assert call('check_dataset.py', *given, monkeypatch=monkeypatch) == 0
    written = {path.name for path in (tmp_path / 'work_dirs/custom_dataset/dataset').iterdir()}
    assert written == {f'{split}_{kind}.png' for split in ('train', 'val') for kind in ('classes', 'samples')}
