"""Photographs that are turned when they are shown, and masks that were drawn on either of the two."""

import re

import cv2
import numpy as np
import pytest
from mmseg.registry import DATASETS
from PIL import Image, ImageOps

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.checks.samples import draw_samples
from infopro_seg.datasets.checks.warnings import warnings_of
from infopro_seg.datasets.checks.whole_split import check_split
from infopro_seg.datasets.image_headers import ORIENTATION, read_header
from infopro_seg.datasets.orientation import MisfitError, labels_are_turned, turn
from infopro_seg.datasets.preflight import require_data
from infopro_seg.errors import ConfigError, DataError
from tests.datasets.pairs import CLASSES, config_of, leaf, make, mask, photograph, save

ALL = range(1, 9)
SUFFIXES = ['.jpg', '.png', '.webp', '.tif']


def photo(path, orientation, picture=None):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    kwargs = {'tiffinfo': exif} if path.suffix == '.tif' else {'exif': exif}
    kwargs |= {'lossless': True} if path.suffix == '.webp' else {}
    return save(path, photograph() if picture is None else picture, **kwargs)


def upright(values, orientation):
    """Pillow's own turning, as the oracle."""
    picture = Image.fromarray(values)
    picture.getexif()[ORIENTATION] = orientation
    return np.array(ImageOps.exif_transpose(picture))


@pytest.mark.parametrize('orientation', ALL)
def test_turning_equals_pillow_s(orientation):
    for values in (mask(), photograph()):
        np.testing.assert_array_equal(turn(values, orientation), upright(values, orientation))


@pytest.mark.parametrize('suffix', SUFFIXES)
@pytest.mark.parametrize('orientation', ALL)
def test_images_are_loaded_upright_as_opencv_loads_them(tmp_path, orientation, suffix):
    path = photo(tmp_path / f'i{suffix}', orientation)
    header = read_header(path.read_bytes())
    assert header.orientation == orientation
    loader = DATASETS.build(
        {'type': 'BaseSegDataset', 'pipeline': [{'type': 'LoadImage'}], 'lazy_init': True}
    )
    loaded = loader.pipeline({'img_path': str(path)})
    expected = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(loaded['img'], expected)
    assert header.size == loaded['img'].shape[1::-1]
    assert header.stored_size == (30, 20)
    assert loaded.get('exif_orientation', 1) == orientation


def test_orientations_behind_the_pixels_of_a_png_are_found(tmp_path):
    plain = save(tmp_path / 'plain.png', photograph()).read_bytes()
    early = photo(tmp_path / 'early.png', 6).read_bytes()
    start = early.index(b'eXIf') - 4
    chunk = early[start : early.index(b'IDAT') - 4]
    end = plain.index(b'IEND') - 4
    assert start < early.index(b'IDAT')
    for data, orientation in (
        (plain[:end] + chunk + plain[end:], 6),
        (plain[:end] + chunk[:-1] + b'?' + plain[end:], 1),  # a wrong checksum: pixels by chance
        (plain, 1),
    ):
        header = read_header(data)
        assert (header.orientation, header.whole) == (orientation, True)


def load(root, **changes):
    """The image and the labels of the first pair, as training gets them."""
    dataset = DATASETS.build(leaf(root, **changes))
    found = dataset[0]
    return found['img'], found['gt_seg_map']


def agree(image, labels):
    """Whether each pixel has the class that its red says, compression aside."""
    red = image[..., 2].astype(int)
    return bool((abs(red - labels.astype(int) * 100) < 50).mean() > 0.95)


@pytest.fixture
def turned(request, tmp_path):
    """One pair whose photograph has an orientation, of a size and with a mask as asked for."""
    orientation, size, drawn_on = request.param
    photo(tmp_path / 'images/train/0.png', orientation, photograph(*size))
    labels = mask(*size) if drawn_on == 'stored' else upright(mask(*size), orientation)
    save(tmp_path / 'masks/train/0.png', labels)
    return tmp_path


QUARTERS = [(o, (20, 30), drawn_on) for o in (5, 6, 7, 8) for drawn_on in ('stored', 'upright')]
DOUBTFUL = [(o, (20, 30), drawn_on) for o in (2, 3, 4) for drawn_on in ('stored', 'upright')]
DOUBTFUL += [(o, (24, 24), drawn_on) for o in (3, 6) for drawn_on in ('stored', 'upright')]


@pytest.mark.parametrize('turned', QUARTERS, indirect=True)
def test_after_a_quarter_turn_the_size_tells_what_the_mask_was_drawn_on(turned):
    image, labels = load(turned)
    assert labels.shape == image.shape[:2] == (30, 20)
    assert agree(image, labels)
    require_data(config_of(leaf(turned)), ('train',))


@pytest.mark.parametrize('turned', DOUBTFUL, indirect=True)
def test_where_sizes_do_not_tell_it_is_refused_everywhere(turned):
    said = r'0\.png fits its image .*EXIF orientation \d.*drawn_on=.upright'
    said_of_file = said.replace(' fits', ':? fits')
    with pytest.raises(DataError, match=said_of_file):
        load(turned)
    with pytest.raises(DataError, match=said_of_file):
        require_data(config_of(leaf(turned)), ('train',))
    (problem,) = check_split(config_of(leaf(turned)), workers=1).problems
    assert re.search('EXIF orientation', problem.what)


@pytest.mark.parametrize('turned', DOUBTFUL, indirect=True)
def test_what_masks_were_drawn_on_can_be_said(turned, request):
    drawn_on = request.node.callspec.params['turned'][2]
    labels = {'type': 'LoadLabels', 'num_classes': len(CLASSES), 'drawn_on': drawn_on}
    changes = {'pipeline': [{'type': 'LoadImage'}, labels]}
    assert agree(*load(turned, **changes))
    require_data(config_of(leaf(turned, **changes)), ('train',))


def test_without_turning_nothing_is_in_doubt(tmp_path):
    make(tmp_path, 2)
    photo(tmp_path / 'images/train/0.png', 3)
    steps = [{'type': 'LoadImage', 'color_type': 'color_ignore_orientation'}, {'type': 'LoadLabels'}]
    image, labels = load(tmp_path, pipeline=steps)
    np.testing.assert_array_equal(image[..., ::-1], photograph())
    np.testing.assert_array_equal(labels, mask())
    require_data(config_of(leaf(tmp_path, pipeline=steps)), ('train',))


def test_the_check_names_turned_photographs_and_draws_their_labels_with_them(tmp_path):
    make(tmp_path, 2)
    photo(tmp_path / 'images/train/0.png', 6)
    report = check_split(config_of(leaf(tmp_path)), workers=1)
    assert report.problems == []
    text = ' '.join(warnings_of(report))
    assert 'turned by their EXIF orientation: 1, e.g. ' in text
    assert 'with 1 of the label images' in text
    assert draw_samples(report, tmp_path / 'samples.png')


def test_other_sizes_are_named_with_the_orientation():
    with pytest.raises(MisfitError, match='40x40 pixels, but its image i is 20x30 when turned by its EXIF'):
        labels_are_turned((40, 40), (20, 30), 6, 'i')
    with pytest.raises(MisfitError, match='30x20 pixels'):
        labels_are_turned((30, 20), (20, 30), 6, 'i', 'upright')
    assert labels_are_turned((30, 20), (20, 30), 6, 'i')
    assert not labels_are_turned((20, 30), (20, 30), 6, 'i')


def test_a_misspelt_drawn_on_is_named():
    from infopro_seg.datasets.loading import LoadLabels

    with pytest.raises(ConfigError, match="drawn_on='turned'; choose from"):
        LoadLabels(drawn_on='turned')
