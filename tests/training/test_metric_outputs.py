"""The label images that mmseg's own metric writes."""

from types import SimpleNamespace

import pytest

from infopro_seg.errors import ConfigError
from infopro_seg.evaluation.iou import ClassIoUMetric
from infopro_seg.evaluation.label_images import CITYSCAPES
from infopro_seg.training.checks.metric_outputs import require_outputs

CLASSES = ('background', 'leaf')


def dataset(*images, labels='masks', **meta):
    infos = [
        {'img_path': image, 'seg_map_path': f'{labels}/{number}.png'} for number, image in enumerate(images)
    ]

    class Images:
        metainfo = {'classes': CLASSES, **meta}
        get_data_info = staticmethod(infos.__getitem__)

        def __len__(self):
            return len(infos)

    return Images()


def check(folder, *images, **more):
    require_outputs([ClassIoUMetric(output_dir=str(folder))], dataset(*images, **more), 'test')


def test_label_images_of_one_name_are_refused(tmp_path):
    check(tmp_path, 'a/1.jpg', 'a/2.jpg', 'a/1.jpg')  # one image may be listed twice
    with pytest.raises(
        ConfigError, match=r'of a/1.jpg and b/1.tif would both be .*1.png; .*test.py --out DIR'
    ):
        check(tmp_path, 'a/1.jpg', 'b/1.tif')
    require_outputs([ClassIoUMetric()], dataset('a/1.jpg', 'b/1.tif'), 'test')
    require_outputs([SimpleNamespace(output_dir='own')], dataset('a/1.jpg', 'b/1.tif'), 'test')


def test_the_data_are_not_replaced(tmp_path):
    (tmp_path / 'link').symlink_to(tmp_path)
    with pytest.raises(ConfigError, match=r'would replace .*/0.png of the data set; name another folder'):
        check(tmp_path / 'link', 'a/0.jpg', labels=str(tmp_path))


@pytest.mark.parametrize(
    ('meta', 'ids'),
    [
        ({}, None),
        ({'reduce_zero_label': True}, None),  # mmseg counts these from 1
        ({'label_map': {0: 255, 1: 0, 2: 1}}, 'label images of the data set'),
        (
            {'classes': ('sidewalk', 'road'), 'label_map': {0: 1, 1: 0, 2: 255}},
            'label images of the data set',
        ),
        (
            {'classes': ('road', 'sidewalk'), 'label_map': {0: 0, 1: 1, 2: 255}},
            'evaluation server of Cityscapes',
        ),
        ({'classes': CITYSCAPES}, 'evaluation server of Cityscapes'),  # labelTrainIds holds class indices
    ],
)
def test_ids_that_are_no_indices_are_warned_of(tmp_path, monkeypatch, meta, ids):
    said = []
    monkeypatch.setattr('mmengine.logging.MMLogger.warning', lambda self, text: said.append(text))
    check(tmp_path, 'a/1.jpg', **meta)
    assert [f'gets class indices, not the ids of the {ids}; leave' in text for text in said] == [True] * bool(
        ids
    )


def test_samples_without_a_path_are_passed_over(tmp_path):
    check(tmp_path, None, 'a/1.jpg')
    images = dataset('a/1.jpg')
    images.get_data_info = lambda index: {'img': index}
    require_outputs([ClassIoUMetric(output_dir=str(tmp_path))], images, 'val')
