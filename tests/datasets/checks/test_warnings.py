"""What is odd in a data set but not wrong is told."""

import cv2
import numpy as np
import pytest
from PIL import Image

from infopro_seg.datasets.checks.inspection import IGNORED
from infopro_seg.datasets.checks.warnings import warnings_of
from infopro_seg.datasets.image_headers import read_header
from tests.datasets.checks.plants import MEAN, SIZES, STD, check, leaf, save


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


def test_pages_that_are_not_read_are_told(root):
    photo = root / 'images/0.png'
    image = cv2.imread(str(photo))
    stack = root / 'stack.tif'
    cv2.imwritemulti(str(stack), [image, image])
    stack.rename(photo)  # what a file is, its content says
    report = check(leaf(root))
    assert report.problems == []
    (text,) = [text for text in warnings_of(report) if 'several pages' in text]
    assert f'several pages or frames: 1, e.g. {photo}' in text
