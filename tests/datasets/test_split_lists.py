"""Lists of images (`ann_file`) as editors write them."""

import pytest

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.checks.whole_split import check_split
from infopro_seg.datasets.preflight import require_data
from infopro_seg.errors import DataError
from tests.datasets.pairs import config_of, leaf, make


@pytest.fixture
def root(tmp_path):
    return make(tmp_path, splits=('train',))


REFUSED = {
    'empty': (b'', 'names no image; write one name per line'),
    'blank': (b' \r\n\n', 'names no image'),
    'byte-order mark': (b'\xef\xbb\xbf0\n1\n', 'begins with a byte-order mark; save it as plain UTF-8'),
    'UTF-16': ('0\n1\n'.encode('utf-16'), 'is UTF-16; save it as plain UTF-8'),
    'UTF-16 without a mark': ('0\n1\n'.encode('utf-16-le'), 'is UTF-16 or not text'),
    'Latin-1': ('0\nFrüh\n'.encode('latin-1'), 'is not UTF-8'),
    'blank lines': (
        b'0\n\n1\n\n',
        'blank lines in the list .*list.txt of the train split: 2, the first is line 2; remove them',
    ),
}


@pytest.mark.parametrize('name', REFUSED)
def test_lists_that_mmseg_would_misread_are_named_everywhere(root, name):
    data, words = REFUSED[name]
    (root / 'list.txt').write_bytes(data)
    config = config_of(leaf(root, ann_file='list.txt'))
    for refuse in (lambda: require_data(config, ('train',)), lambda: check_split(config, workers=1)):
        with pytest.raises(DataError, match=rf'list\.txt .*{words}|{words}'):
            refuse()


@pytest.mark.parametrize('data', [b'0\n1', b'0\r\n1\r\n', b'0  \n 1\t\n'])
def test_line_ends_and_spaces_do_not_matter(root, data):
    (root / 'list.txt').write_bytes(data)
    config = config_of(leaf(root, ann_file='list.txt'))
    require_data(config, ('train',))
    assert sorted(pair.image.name for pair in check_split(config, workers=1).split.pairs) == [
        '0.png',
        '1.png',
    ]


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        (
            '9',
            r'1 of 2 images of the train split are missing, e\.g\. \S+9\.png; the list \S+list\.txt names',
        ),
        ('1.png', r'1\.png\.png, but there is 1\.png: \.png was added to a name that has it already'),
    ],
)
def test_names_without_an_image_are_named(root, name, words):
    (root / 'list.txt').write_text(f'0\n{name}\n')
    with pytest.raises(DataError, match=words):
        require_data(config_of(leaf(root, ann_file='list.txt')), ('train',))


def test_a_folder_in_place_of_a_list_is_refused(root):
    """mmseg would take all images without a word."""
    (root / 'lists').mkdir()
    config = config_of(leaf(root, ann_file='lists'))
    for refuse in (lambda: require_data(config, ('train',)), lambda: check_split(config, workers=1)):
        with pytest.raises(DataError, match=r'ann_file of the train split is the folder \S+/lists, so mmseg'):
            refuse()
