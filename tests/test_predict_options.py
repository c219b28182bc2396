"""Options of tools/predict.py: several images at once, half precision, the arguments themselves."""

import sys

import cv2
import numpy as np
import pytest
import torch

from infopro_seg.commands import predict as command
from infopro_seg.models.backbone import InfoProBackbone
from infopro_seg.predict import Ways, predict
from tests.predictors import SLIDE, WHOLE, Saved, load_once, picture, save_network
from tests.runs import read_png

SIZES = ((64, 96), (64, 96), (48, 64), (64, 96), (64, 96))


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    load_once(monkeypatch)


@pytest.fixture(scope='module')
def networks(tmp_path_factory):
    return {cfg['mode']: save_network(tmp_path_factory.mktemp('net'), cfg) for cfg in (WHOLE, SLIDE)}


@pytest.fixture
def photos(tmp_path):
    (tmp_path / 'photos').mkdir()
    for index, size in enumerate(SIZES):
        cv2.imwrite(str(tmp_path / f'photos/{index}.png'), picture(*size, index))
    return tmp_path / 'photos'


def labels_in(folder):
    return [read_png(folder / f'{index}_labels.png') for index in range(len(SIZES))]


def run(network: Saved, photos, out, **ways):
    return predict(network.config, network.checkpoint, [photos], out, 'cpu', ways=Ways(**ways))


@pytest.mark.parametrize('mode', ['whole', 'slide'])
def test_images_of_one_size_go_through_the_network_together(networks, photos, tmp_path, mode, monkeypatch):
    run(networks[mode], photos, tmp_path / 'one')
    counts = []
    encode = torch.nn.Module.__call__

    def call(module, *args, **kwargs):
        if isinstance(module, InfoProBackbone):
            counts.append(len(args[0]))
        return encode(module, *args, **kwargs)

    monkeypatch.setattr(torch.nn.Module, '__call__', call)
    run(networks[mode], photos, tmp_path / 'many', batch=3)
    if mode == 'whole':
        assert counts == [2, 1, 2]  # neighbours of one size among the first three, and the two others
    else:
        assert max(counts) == 2  # windows of one row of an image
    for one, other in zip(labels_in(tmp_path / 'one'), labels_in(tmp_path / 'many'), strict=True):
        assert np.mean(one != other) < 1e-3
        assert len(np.unique(one)) > 2


def test_an_image_that_fails_among_several_is_named_alone(networks, photos, tmp_path, capsys):
    (photos / '1.png').write_bytes(b'no image')
    assert run(networks['whole'], photos, tmp_path / 'out', batch=5) == [photos / '1.png']
    assert f'skipped: cannot read the image {photos / "1.png"}' in capsys.readouterr().err
    assert len([*(tmp_path / 'out').glob('*_labels.png')]) == 4


@pytest.mark.parametrize('mode', ['whole', 'slide'])
def test_half_precision_gives_nearly_the_same_labels(networks, photos, tmp_path, mode, monkeypatch):
    run(networks[mode], photos, tmp_path / 'single')
    networks[mode].predictor(half=True)  # building it runs convolutions too
    seen = set()
    forward = torch.nn.Conv2d.forward

    def note(module, inputs):
        given = forward(module, inputs)
        seen.add(given.dtype)
        return given

    monkeypatch.setattr(torch.nn.Conv2d, 'forward', note)
    run(networks[mode], photos, tmp_path / 'half', half=True)
    assert seen == {torch.bfloat16}
    for one, other in zip(labels_in(tmp_path / 'single'), labels_in(tmp_path / 'half'), strict=True):
        assert np.mean(one != other) < 0.05
        assert set(np.unique(other)) <= set(range(1, 6))


def call(monkeypatch, *words):
    monkeypatch.setattr(sys, 'argv', ['predict.py', *words])
    given = []
    monkeypatch.setattr('infopro_seg.predict.predict', lambda *args: given.extend(args))
    assert command.main() == 0
    return given


def test_arguments_are_read_as_they_are_meant(monkeypatch):
    given = call(
        monkeypatch, 'a.py', 'b.pth', 'c.png', 'd', '--out', 'o', '--batch', '4', '--half', '--no-resize'
    )
    assert given == ['a.py', 'b.pth', ['c.png', 'd'], 'o', None, None, Ways(True, 4, False)]
    given = call(monkeypatch, 'net.onnx', 'c', '--out', 'o', '--device', 'cpu', '--video', '--fps', '12.5')
    assert given == ['net.onnx', None, ['c'], 'o', 'cpu', None, Ways(video=True, fps=12.5)]


@pytest.mark.parametrize(
    ('words', 'told'),
    [
        (['a.py', 'b.pth'], 'at least one image'),
        (['net.onnx'], 'at least one image'),
        (['a.py', 'b.pth', 'c.png', '--batch', '0'], '0 is not a whole number above 0'),
        (['a.py', 'b.pth', 'c.png', '--batch', 'two'], 'two is not a whole number above 0'),
        (['a.py', 'b.pth', 'c.png', '--fps', 'slow'], 'slow is not a number of frames per second'),
        (['a.py', 'b.pth', 'c.png', '--fps', '-1'], 'not a number of frames per second'),
    ],
    ids=str,
)
def test_arguments_that_are_wrong_are_named(monkeypatch, capsys, words, told):
    monkeypatch.setattr(sys, 'argv', ['predict.py', *words, '--out', 'o'])
    with pytest.raises(SystemExit) as done:
        command.main()
    assert done.value.code == 2
    assert told in capsys.readouterr().err
