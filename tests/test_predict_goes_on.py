"""One image that fails does not end a prediction, and results are no images of the next one."""

import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from infopro_seg.errors import DataError, UserError
from infopro_seg.predict import predict
from infopro_seg.predict_images import find_images
from infopro_seg.prediction.video_files import FrameFolder

LABELS = np.zeros((4, 6), np.uint8)


@pytest.fixture
def photos(tmp_path):
    for name in ('a', 'b', 'c'):
        (tmp_path / 'photos').mkdir(exist_ok=True)
        Image.new('RGB', (6, 4), (9, 99, 199)).save(tmp_path / 'photos' / f'{name}.png')
    return tmp_path / 'photos'


@pytest.fixture
def network(monkeypatch):
    """A stand-in for the network, which raises what is put into `fails` for an image of that name."""
    fails, asked = {}, []

    def call(path):
        asked.append(path)
        if path.stem in fails:
            raise fails[path.stem]
        return LABELS

    class Network:
        palette, label_ids = np.zeros((1, 3), np.uint8), np.zeros(1, np.uint8)
        __call__ = staticmethod(call)
        read = staticmethod(lambda path: np.array(Image.open(path)))

    config = {'model': {'type': 'EncoderDecoder'}}
    monkeypatch.setattr('infopro_seg.config_files.load_config', lambda path, options: config)
    monkeypatch.setattr('infopro_seg.inference.Predictor', lambda *args: Network())
    return SimpleNamespace(fails=fails, asked=asked)


def run(photos, out):
    return predict('config.py', 'model.pth', [photos], out)


@pytest.mark.parametrize(
    ('error', 'told'),
    [
        (DataError('cannot read the image: empty'), 'skipped: cannot read the image: empty\n'),
        (torch.OutOfMemoryError('CUDA out of memory. Tried'), 'b.png: out of memory; predict it on the CPU'),
        (RuntimeError('DefaultCPUAllocator: not enough memory: you tried'), 'model.test_cfg.mode=slide'),
        (MemoryError(), 'b.png: out of memory'),
        (ValueError('height and width\nmust be > 0'), 'b.png: ValueError: height and width must be > 0\n'),
        (TypeError('a transform'), 'b.png: TypeError: a transform\n'),
    ],
)
def test_an_image_that_fails_is_named_and_the_others_are_predicted(
    photos, network, tmp_path, capsys, error, told
):
    network.fails['b'] = error
    assert run(photos, tmp_path / 'out') == [photos / 'b.png']
    said = capsys.readouterr().err
    assert told in said
    assert '2 of 3 images predicted' in said
    written = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert written == ['a_labels.png', 'a_overlay.png', 'c_labels.png', 'c_overlay.png']


def test_a_fault_of_the_program_that_hits_every_image_keeps_its_traceback(photos, network, tmp_path):
    network.fails.update({name: AttributeError('my head') for name in 'abc'})
    with pytest.raises(AttributeError, match='my head'):
        run(photos, tmp_path / 'out')


def test_a_full_disk_is_no_matter_of_an_image(photos, network, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('PIL.Image.Image.save', full)
    with pytest.raises(UserError, match=r'a_labels.png: No space left on device'):
        run(photos, tmp_path / 'out')
    assert network.asked == [photos / 'a.png']


@pytest.mark.parametrize('out', ['photos', 'photos/out', 'out'])
def test_results_among_the_images_are_not_predicted_again(photos, network, tmp_path, capsys, out):
    for _ in range(2):
        network.asked.clear()
        assert run(photos, tmp_path / out) == []
        assert network.asked == [photos / f'{name}.png' for name in 'abc']
    said = capsys.readouterr().err
    assert ('6 results of earlier predictions are left out' in said) == (out != 'out')
    if out == 'photos/out':
        with pytest.raises(UserError, match=r'all 6 images are results of earlier predictions, e\.g\. '):
            find_images([tmp_path / out])


def test_a_folder_s_images_of_other_formats_are_counted(photos, network, tmp_path, capsys):
    Image.open(photos / 'a.png').save(photos / 'tall.ppm')
    Image.open(photos / 'a.png').save(photos / 'tall.jp2')
    Image.open(photos / 'a.png').save(photos / 'a.tga')
    (photos / 'notes.txt').write_text('no image')
    assert run(photos, tmp_path / 'out') == []
    assert network.asked == [photos / name for name in ('a.png', 'b.png', 'c.png', 'tall.jp2', 'tall.ppm')]
    said = ' '.join(capsys.readouterr().err.split())
    assert f'images of formats that are not read: 1, e.g. {photos}/a.tga; convert them to PNG' in said


def test_an_image_is_never_replaced_by_a_result(photos, network):
    shutil.copy(photos / 'a.png', photos / 'a_labels.png')  # a mask that somebody has drawn
    before = (photos / 'a_labels.png').read_bytes()
    with pytest.raises(UserError, match=r'would replace .*/a_labels.png, .* name another folder'):
        run(photos, photos)
    assert (photos / 'a_labels.png').read_bytes() == before
    assert network.asked == []


def test_names_too_long_for_results_are_named_before_the_prediction(photos, network, tmp_path):
    (photos / 'a.png').rename(photos / f'{"x" * 243}.png')
    assert run(photos, tmp_path / 'out') == []
    (photos / 'b.png').rename(photos / f'{"x" * 244}.png')
    with pytest.raises(UserError, match=r'the name of .*x\.png is too long: .* more than 255 bytes; shorten'):
        run(photos, tmp_path / 'again')
    assert not (tmp_path / 'again').exists()


def test_hidden_files_are_left_out_and_links_are_followed_once(photos, tmp_path):
    (photos / '._a.png').write_bytes(b'what macOS leaves')
    (photos / '.thumbnails').mkdir()
    shutil.copy(photos / 'a.png', photos / '.thumbnails' / 'a.png')
    (photos / 'dir.png').mkdir()
    os.mkfifo(photos / 'pipe.png')  # opening one waits until somebody writes
    shutil.copytree(photos, tmp_path / 'elsewhere', ignore=shutil.ignore_patterns('pipe.png'))
    (photos / 'linked').symlink_to(tmp_path / 'elsewhere')
    (photos / 'round').symlink_to(photos)
    names = [str(name) for _, name in find_images([photos]).images]
    assert names == ['a', 'b', 'c', 'linked/a', 'linked/b', 'linked/c']
    assert FrameFolder(photos).count == 3


def test_a_folder_that_cannot_be_written_is_refused_before_the_network_is_loaded(photos, network):
    with pytest.raises(UserError, match=r'cannot write to --out /proc/none'):
        run(photos, '/proc/none')
    assert network.asked == []
