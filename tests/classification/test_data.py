import numpy as np
import pytest
from mmseg.registry import DATASETS

from infopro_seg.errors import DataError
from tests.classification.made import NAMES, picture, write_npz


def dataset(path, **kwargs):
    return DATASETS.build({'type': 'EncodedImages', 'data_file': str(path), **kwargs})


@pytest.mark.parametrize(('split', 'first', 'count'), [('train', 0, 9), ('test', 100, 6)])
def test_it_gives_the_images_and_labels_of_the_file(tmp_path, split, first, count):
    built = dataset(write_npz(tmp_path / 'made.npz'), split=split)
    assert built.metainfo['classes'] == NAMES
    assert len(built) == count
    for index in range(count):
        info = built.get_data_info(index)
        np.testing.assert_array_equal(info['img'], picture(first + index))
        assert (info['gt_label'], info['ori_shape']) == (index % 3, (24, 24))


def test_the_first_images_of_each_class_can_be_taken(tmp_path):
    built = dataset(write_npz(tmp_path / 'made.npz'), per_class=2)
    found = [(built.get_data_info(index)['gt_label'], index) for index in range(len(built))]
    assert [label for label, _ in found] == [0, 0, 1, 1, 2, 2]
    for place, index in enumerate((0, 3, 1, 4, 2, 5)):
        np.testing.assert_array_equal(built.get_data_info(place)['img'], picture(index))


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'test_labels': None}, 'lacks test_labels; it has classes, train_bytes'),
        ({'test_bytes': np.zeros(100000, np.uint8)}, 'image 0 of the test split of .* cannot be decoded'),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, changes, message):
    path = write_npz(tmp_path / 'made.npz', **changes)
    with pytest.raises(DataError, match=message):
        dataset(path, split='test').get_data_info(0)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'test_labels': np.zeros(0, np.uint8)}, 'they hold no image'),
        ({'test_labels': np.zeros(5, np.uint8)}, '7 offsets for 5 labels'),
        ({'test_labels': np.zeros(7, np.uint8)}, '7 offsets for 7 labels'),
        ({'test_offsets': np.arange(7, dtype=np.uint64)[::-1]}, 'offsets do not rise'),
        ({'test_offsets': 10**6 * np.arange(7)}, 'offsets do not rise from 0 to the'),
        ({'test_labels': np.array([0, 1, 2, 3, 0, 1])}, 'label 3, but the 3 classes are 0 to 2'),
        ({'test_labels': np.zeros((6, 1), np.uint8)}, r'labels are uint8 of the shape \(6, 1\), where a row'),
        ({'test_labels': np.zeros((1, 6), np.uint8)}, r'labels are uint8 of the shape \(1, 6\), where a row'),
        ({'test_labels': np.array(list('012012'))}, 'labels are <U1 of .*, where a row of whole numbers'),
        ({'test_labels': np.zeros(6)}, 'labels are float64 of .*, where a row of whole numbers'),
        ({'test_offsets': np.arange(7.0)}, 'offsets are float64 of .*, where a row of whole numbers'),
        ({'classes': np.array('left')}, r'classes are <U4 of the shape \(\), where a row of names'),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(tmp_path, changes, message):
    path = write_npz(tmp_path / 'made.npz', **changes)
    with pytest.raises(DataError, match=f'the test arrays of .*made.npz do not fit: {message}.*again'):
        dataset(path, split='test')


def test_labels_are_counted_by_the_classes_that_replace_those_of_the_file(tmp_path):
    path = write_npz(tmp_path / 'made.npz', test_labels=np.array([0, 1, 2, 3, 0, 1]))
    assert len(dataset(path, split='test', metainfo={'classes': ('a', 'b', 'c', 'd')})) == 6
    with pytest.raises(DataError, match='label 2, but the 2 classes are 0 to 1'):
        dataset(path, metainfo={'classes': ('a', 'b')})


def test_a_file_that_is_cut_off_or_of_another_kind_is_refused(tmp_path):
    whole = write_npz(tmp_path / 'made.npz').read_bytes()
    (tmp_path / 'cut.npz').write_bytes(whole[: len(whole) // 2])
    (tmp_path / 'bent.npz').write_bytes(whole[:300] + bytes(50) + whole[350:])
    (tmp_path / 'empty.npz').touch()
    np.save(tmp_path / 'one.npy', np.zeros(3))
    for name in ('cut.npz', 'bent.npz', 'empty.npz', 'one.npy'):
        with pytest.raises(DataError, match=rf'the train data cannot be read: .*{name} \(\w+: .*; correct'):
            dataset(tmp_path / name)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match=r'the train data cannot be read: .*nowhere.npz \(FileNotFoundError'):
        dataset(tmp_path / 'nowhere.npz')
