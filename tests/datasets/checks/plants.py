"""A small data set of plants, its config, and ways to damage it."""

import numpy as np
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image

from infopro_seg.datasets.checks.whole_split import check_split

CLASSES = ('ground', 'leaf', 'stem', 'root')


SIZES = [(20, 30), (20, 30), (24, 16), (20, 30), (24, 16), (20, 30)]  # height, width


MEAN, STD = [127.5] * 3, [74.0] * 3  # of uniform noise


LOADERS = [{'type': 'LoadImage'}, {'type': 'LoadLabels', 'num_classes': len(CLASSES)}]


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def leaf(root, **changes):
    return {
        'type': 'BaseSegDataset',
        'data_root': str(root),
        'data_prefix': {'img_path': 'images', 'seg_map_path': 'masks'},
        'img_suffix': '.png',
        'metainfo': {'classes': CLASSES},
        'pipeline': LOADERS,
        **changes,
    }


def config_of(dataset, mean=MEAN, std=STD, bgr_to_rgb=True, **more):
    preprocessor = {'type': 'SegDataPreProcessor', 'mean': mean, 'std': std, 'bgr_to_rgb': bgr_to_rgb}
    content = {
        'model': {'data_preprocessor': preprocessor, 'decode_head': {'num_classes': len(CLASSES)}},
        'train_dataloader': {'dataset': dataset},
        **more,
    }
    return Config(content)


def check(dataset, **kwargs):
    return check_split(config_of(dataset, **kwargs), workers=1)


def stored(root):
    """Images as RGB and label images as they are in the files, in order."""
    return tuple(
        [np.array(Image.open(path)) for path in sorted((root / kind).glob('*.png'))]
        for kind in ('images', 'masks')
    )


def loaded_labels(dataset):
    """What mmseg's own pipeline makes of each label image."""
    built = DATASETS.build({**dataset, 'pipeline': [{'type': 'LoadAnnotations'}]})
    return [built[index]['gt_seg_map'] for index in range(len(built))]


def truncate(root):
    path = root / 'images/2.png'
    path.write_bytes(path.read_bytes()[:-200])


def relabel(value):
    def change(root):
        path = root / 'masks/2.png'
        labels = np.array(Image.open(path))
        labels[5:7, 3:5] = value
        save(path, labels)

    return change
