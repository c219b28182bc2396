import numpy as np
import pytest
from cityscapesscripts.helpers.labels import name2label
from mmseg.datasets import CityscapesDataset

from infopro_seg.errors import UserError
from infopro_seg.evaluation.label_files import write_image, write_label_image
from infopro_seg.evaluation.label_images import label_ids
from tests.runs import read_png

CLASSES = CityscapesDataset.METAINFO['classes']


def test_cityscapes_classes_are_written_with_cityscapes_ids(tmp_path):
    prediction = np.random.default_rng(0).integers(0, 19, (20, 30))
    write_label_image(tmp_path / 'new' / 'a.png', prediction, label_ids({'classes': CLASSES}))
    written = read_png(tmp_path / 'new' / 'a.png')
    assert (written.shape, written.dtype) == ((20, 30), np.uint8)
    for index, name in enumerate(CLASSES):
        assert set(written[prediction == index].tolist()) == {name2label[name].id}
    assert label_ids({'classes': CLASSES})[0] == 7  # road


@pytest.mark.parametrize('classes', [CLASSES[:5], tuple(reversed(CLASSES)), ('wall', 'sky')])
def test_other_classes_are_written_by_index(classes):
    assert label_ids({'classes': classes}).tolist() == list(range(len(classes)))


def test_a_label_image_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / 'a.png').mkdir()
    with pytest.raises(UserError, match=r'cannot write .*/a.png'):
        write_label_image(tmp_path / 'a.png', np.zeros((2, 2), int), np.arange(3, dtype=np.uint8))


def test_an_image_below_a_file_is_refused(tmp_path):
    (tmp_path / 'out').touch()
    with pytest.raises(UserError, match=r'cannot make the folder .*/out/deep: .*; name another'):
        write_image(tmp_path / 'out' / 'deep' / 'a.png', np.zeros((2, 2, 3), np.uint8))


def test_an_image_that_finds_no_room_is_named_and_leaves_nothing(tmp_path, monkeypatch):
    def full(self, path, **kwargs):
        path.write_bytes(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('PIL.Image.Image.save', full)
    with pytest.raises(UserError, match=r'cannot write .*/a.png: No space left on device; make room'):
        write_image(tmp_path / 'a.png', np.zeros((2, 2, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []
