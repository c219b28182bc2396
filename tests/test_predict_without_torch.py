"""An exported network is predicted on a machine that has neither torch nor OpenMMLab's packages."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Resize

from infopro_seg.errors import CheckpointError
from infopro_seg.logit_maps import array_maths
from infopro_seg.logit_maps.row_maps import CroppedMap, ResizedMap, SlidingMap, StoredMap
from infopro_seg.models import row_maps as tensors
from infopro_seg.prediction.resizing import resized, resizing
from tests.predictors import SLIDE, picture, save_network
from tests.runs import read_png

ROOT = Path(__file__).parents[1]


def run(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / 'tests/without_torch.py', *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
    )


def test_an_export_predicts_images_rasters_and_videos_without_torch(tmp_path):
    for package in ('onnx', 'onnxscript', 'onnxruntime', 'rasterio'):
        pytest.importorskip(package)
    from tests.geotiffs import write_tiff

    network = save_network(tmp_path / 'net', SLIDE, {'type': 'Resize', 'scale_factor': 1.5})
    exported = network.exported(tmp_path)
    image, large = picture(90, 70), picture(150, 90)
    cv2.imwrite(str(tmp_path / 'street.png'), image)
    (tmp_path / 'frames').mkdir()
    cv2.imwrite(str(tmp_path / 'frames/0.png'), image)
    ortho = write_tiff(tmp_path / 'ortho.tif', large)

    def predict(*arguments):
        return run('tools/predict.py', exported, *arguments, '--out', tmp_path / 'out')

    done = predict(tmp_path / 'street.png')
    assert (done.returncode, done.stdout) == (0, ''), done.stderr
    expected = network.predictor().predict(tmp_path / 'street.png')
    found = read_png(tmp_path / 'out/street_labels.png')
    assert len(np.unique(expected)) > 2
    assert np.mean(found != expected + 1) < 1e-3  # ties aside
    done = predict(ortho, tmp_path / 'none.tif', '--no-resize')
    assert done.returncode == 2
    assert done.stderr.startswith('error: no such image or folder')
    assert predict(ortho, '--no-resize').returncode == 0
    assert predict(tmp_path / 'frames', '--video').returncode == 0
    names = {path.name for path in (tmp_path / 'out').iterdir()}
    labels = {'street_labels.png', 'ortho_labels.tif'}
    assert names == labels | {f'{name}_overlay.png' for name in ('street', 'ortho')} | {'frames_overlay.mp4'}


def test_the_missing_packages_are_really_missing():
    done = run('tools/predict.py', 'config.py', 'net.pth', 'street.png', '--out', '/nowhere')
    assert done.returncode != 0
    assert "No module named 'torch'" in done.stderr or "No module named 'mm" in done.stderr


@pytest.mark.parametrize('align_corners', [False, True], ids=['centres', 'corners'])
@pytest.mark.parametrize('size', [(37, 50), (9, 11), (4, 31)], ids=str)
def test_arrays_are_resized_as_torch_resizes_tensors(size, align_corners):
    small = np.random.default_rng(0).normal(size=(3, 9, 11)).astype(np.float32)
    given = torch.from_numpy(small.copy())
    expected = torch.nn.functional.interpolate(
        given[None], size, mode='bilinear', align_corners=align_corners
    )[0]
    resize = ResizedMap(StoredMap(small), size, align_corners)
    found = np.concatenate([resize(0, 3), resize(3, size[0])], 1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-5)
    assert np.array_equal(small, given.numpy())  # what it read is as it was


@pytest.mark.parametrize('dtype', [np.float32, np.float16], ids=['single', 'half'])
def test_windows_of_arrays_are_averaged_as_those_of_tensors(dtype):
    image = np.random.default_rng(1).normal(size=(4, 30, 41)).astype(dtype)

    def windows(convert):
        def compute(boxes):
            return [convert(image[(slice(None), *box)][:, ::2, ::2].copy()) for box in boxes]

        sliding = SlidingMap(compute, (30, 41), (12, 16), (8, 11), False, 2)
        return CroppedMap(sliding, 1, 2, 3, 4)

    array, tensor = windows(lambda one: one), windows(torch.from_numpy)
    assert array.size == tensor.size == (23, 38)
    for start, stop in ((0, 7), (7, 23)):
        np.testing.assert_allclose(array(start, stop), tensor(start, stop).numpy(), atol=1e-5)
        labels = [array_maths.class_indices(one(start, stop), 0.5) for one in (array, tensor)]
        assert labels[0].dtype == labels[1].dtype == np.int16
        assert np.array_equal(*labels)


def test_one_channel_is_parted_by_its_threshold():
    scores = np.array([[[-900.0, -0.9, -0.8, 0, 3]]], np.float32)
    expected = tensors.class_indices(torch.from_numpy(scores), 0.3)
    assert np.array_equal(array_maths.class_indices(scores, 0.3), expected)
    assert expected.tolist() == [[0, 0, 1, 1, 1]]


def test_what_are_no_logits_is_refused():
    with pytest.raises(TypeError, match='no logits: list'):
        array_maths.as_single([1.0])


STEPS = (
    {'scale': (96, 64), 'keep_ratio': True},
    {'scale': (64, 96), 'keep_ratio': True, 'interpolation': 'area'},
    {'scale': 50},
    {'scale_factor': 1.7},
    {'scale_factor': (0.5, 1.3), 'keep_ratio': True},
)


@pytest.mark.parametrize('step', STEPS, ids=str)
@pytest.mark.parametrize('shape', [(33, 71), (140, 55)], ids=str)
def test_images_are_resized_as_mmcv_does_it(step, shape):
    image = picture(*shape)
    expected = Resize(**step)({'img': image.copy()})['img']
    stored = {key: list(value) if isinstance(value, tuple) else value for key, value in step.items()}
    assert np.array_equal(resized(image, resizing(stored)), expected)


def test_a_resizing_that_is_not_opencv_s_is_refused():
    with pytest.raises(CheckpointError, match=r"Resize\(scale=5, backend='pillow'\).*--no-resize"):
        resizing({'scale': 5, 'backend': 'pillow'})
