"""Label images with palettes: a colour is one id in all files, or the check says so."""

import re
from contextlib import nullcontext

import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from PIL import Image

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.checks.whole_split import check_split
from infopro_seg.datasets.image_headers import read_header
from infopro_seg.datasets.preflight import require_data
from infopro_seg.errors import DataError
from tests.datasets.pairs import config_of, leaf, make

COLOURS = ((0, 0, 0), (128, 0, 0), (0, 128, 0))


@pytest.fixture
def root(tmp_path):
    return make(tmp_path)


def labels_of(root, split='train'):
    paths = sorted((root / 'masks' / split).iterdir())
    return [(path, np.array(Image.open(path))) for path in paths]


def paint(path, labels, colours=COLOURS, **more):
    """Saves labels with a palette, unchanged."""
    picture = Image.fromarray(labels)
    picture.putpalette([value for colour in colours for value in colour])
    picture.save(path, **more)


def shrink(path):
    """What optimisers of PNG files do: the same picture, its colours numbered by how often they occur."""
    picture = Image.open(path).convert('RGB')
    colours = [colour for _, colour in sorted(picture.getcolors(), reverse=True)]
    pixels = np.array(picture)
    ids = np.zeros(pixels.shape[:2], np.uint8)
    for index, colour in enumerate(colours):
        ids[(pixels == colour).all(axis=2)] = index
    paint(path, ids, colours)


def problems(root):
    config = config_of(leaf(root))
    found = [str(problem) for problem in check_split(config, 'train', workers=1).problems]
    with pytest.raises(DataError, match=re.escape(found[0])) if found else nullcontext():
        require_data(config, ('train',))
    return found


def test_files_whose_colours_were_numbered_anew_are_refused(root):
    for number, (path, labels) in enumerate(labels_of(root)):
        labels[:15] = number % 3  # the most frequent class differs
        paint(path, labels)
    assert problems(root) == []
    before = [np.array(Image.open(path).convert('RGB')) for path, _ in labels_of(root)]
    for path, _ in labels_of(root):
        shrink(path)
    after = [np.array(Image.open(path).convert('RGB')) for path, _ in labels_of(root)]
    assert all((one == other).all() for one, other in zip(before, after, strict=True))  # the same to viewers
    [found] = problems(root)
    assert 'palettes that contradict each other: the colour (0, 0, 0) is id 0 in 0.png, but id' in found


def test_grays_that_became_a_palette_are_refused(root):
    [(first, labels), *others] = labels_of(root)
    labels[labels == 1] = 0
    for path, ids in [(first, labels), *others]:
        Image.fromarray(ids).save(path)
        Image.open(path).quantize(len(np.unique(ids))).save(path)
    [found] = problems(root)
    assert 'contradict' in found


def same(number):
    return COLOURS


def longer(number):
    return COLOURS + ((9, 9, 9),) * number


def random(number):
    return np.random.default_rng(number).integers(0, 256, (3, 3)).tolist()


def alike(number):
    return ((0, 0, 0), (0, 0, 0), (255, 0, 0))


@pytest.mark.parametrize('colours', [same, longer, random, alike])
def test_palettes_that_do_not_contradict_each_other_pass(root, colours):
    for number, (path, labels) in enumerate(labels_of(root)):
        if number % 2:
            labels[labels == 1] = 0
        paint(path, labels, colours(number))
    assert problems(root) == []


def test_void_may_have_the_colour_that_another_palette_gives_a_class(root):
    for number, (path, labels) in enumerate(labels_of(root)):
        labels[:5] = 255
        void = ((0, 0, 0), (9, 9, 9))[number % 2]  # one palette has black for void, the other for class 0
        classes = (((70, 70, 70), (1, 2, 3)), COLOURS[:2])[number % 2]
        paint(path, labels, [*classes, *[(5, 5, number % 2)] * 253, void])
    assert problems(root) == []


@TRANSFORMS.register_module()
class ReadsColours(BaseTransform):
    """A step of the user's own, which may number the classes by their colours."""

    def transform(self, results):
        return results


def test_palettes_are_left_to_a_step_of_the_user_s_own(root):
    for number, (path, labels) in enumerate(labels_of(root)):
        paint(path, labels, COLOURS[:: (-1) ** number])
    assert 'contradict' in problems(root)[0]
    pipeline = [*leaf(root)['pipeline'], {'type': 'ReadsColours'}, {'type': 'PackSegInputs'}]
    require_data(config_of(leaf(root, pipeline=pipeline)), ('train',))


def test_data_sets_that_are_joined_may_have_palettes_of_their_own(root, tmp_path):
    other = make(tmp_path / 'other')
    for folder, colours in ((root, COLOURS), (other, COLOURS[::-1])):
        for path, labels in labels_of(folder):
            paint(path, labels, colours)
    config = config_of({'type': 'ConcatDataset', 'datasets': [leaf(root), leaf(other)]})
    require_data(config, ('train',))
    assert check_split(config, 'train', workers=1).problems == []


def test_the_palette_is_read_from_the_header(tmp_path):
    path = tmp_path / 'a.png'
    paint(path, np.array([[0, 1, 2]], np.uint8), icc_profile=b'any')  # stored before the palette
    assert read_header(path.read_bytes()).palette == bytes(value for colour in COLOURS for value in colour)
