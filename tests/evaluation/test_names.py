from pathlib import Path

import pytest

from infopro_seg.evaluation.names import output_names


def names(*images):
    return {image: str(name) for image, name in output_names(images).items()}


def test_images_keep_their_path_below_the_folder_of_the_data_set():
    assert names(('d/val', 'd/val/a/1.jpg'), ('d/val', 'd/val/b/1.jpg'), ('d/val/', 'd/val/2.x.jpg')) == {
        'd/val/a/1.jpg': 'a/1.png',
        'd/val/b/1.jpg': 'b/1.png',
        'd/val/2.x.jpg': '2.x.png',
    }


def test_joined_folders_are_told_apart_only_where_they_must_be():
    first, second = ('d/one', 'd/one/1.jpg'), ('d/two', 'd/two/2.jpg')
    assert names(first, second) == {'d/one/1.jpg': '1.png', 'd/two/2.jpg': '2.png'}
    same = ('d/two', 'd/two/1.jpg')
    assert names(first, same) == {'d/one/1.jpg': 'one/1.png', 'd/two/1.jpg': 'two/1.png'}


def test_an_image_that_is_listed_twice_has_one_name():
    assert names(('d', 'd/1.jpg'), ('d', 'd/1.jpg'), ('d', 'd/../d/1.jpg')) == {
        'd/1.jpg': '1.png',
        'd/../d/1.jpg': '1.png',
    }


def test_suffixes_tell_images_apart_where_nothing_else_does():
    assert names(('d', 'd/1.jpg'), ('d', 'd/1.tif'), ('d', 'd/2.jpg')) == {
        'd/1.jpg': '1.jpg.png',
        'd/1.tif': '1.tif.png',
        'd/2.jpg': '2.png',
    }
    awkward = names(('d', 'd/1.jpg'), ('d', 'd/1.tif'), ('d', 'd/1.jpg.tif'))
    assert sorted(awkward.values()) == ['1.jpg.png', '1.jpg.tif.png', '1.tif.png']


@pytest.mark.parametrize('outside', ['/far/away/1.jpg', 'd/../e/1.jpg'])
def test_no_image_is_written_outside_the_folder(outside):
    for name in output_names([('d', 'd/1.jpg'), ('d', outside)]).values():
        assert not name.is_absolute()
        assert '..' not in Path(name).parts
