"""Files that are wrong are named, with what to do about them."""

import re

import numpy as np
import pytest
from PIL import Image

from tests.datasets.checks.plants import CLASSES, SIZES, check, leaf, loaded_labels, relabel, save, truncate


def deep(root):
    save(root / 'masks/2.png', np.full(SIZES[2], 300, dtype=np.uint16))


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
        'the label image cannot be read: the file is not an image',
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
