"""Configs and data that mmsegmentation trains and evaluates correctly are not refused."""

from types import SimpleNamespace

import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmseg.registry import DATASETS, TRANSFORMS
from PIL import Image
from torch.utils.data import Dataset

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.building import leaves
from infopro_seg.datasets.checks.batch_sizes import require_equal_sizes
from infopro_seg.datasets.checks.classes import require_equal_classes
from infopro_seg.datasets.checks.head_losses import require_losses
from infopro_seg.datasets.loading import LoadImage
from infopro_seg.datasets.metainfo import require_palette_length
from infopro_seg.datasets.preflight import require_data
from infopro_seg.errors import ConfigError
from infopro_seg.stock_datasets import BaseSegDataset, LoadAnnotations
from tests.datasets.pairs import CLASSES, config_of, leaf, make, mask, photograph, save

LOAD, LABELS = {'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations'}
PACK, CROP = {'type': 'PackSegInputs'}, {'type': 'RandomCrop', 'crop_size': (16, 16)}


@TRANSFORMS.register_module()
class LoadColours(LoadAnnotations):
    """Reads classes from colours, as a data set of the user's own has them."""

    def _load_seg_map(self, results):
        colours = np.asarray(Image.open(results['seg_map_path']))
        results['gt_seg_map'] = colours[..., 0] // 100
        results['seg_fields'].append('gt_seg_map')


@TRANSFORMS.register_module()
class HalveIds(BaseTransform):
    def transform(self, results):
        results['gt_seg_map'] = results['gt_seg_map'] // 100
        return results


@DATASETS.register_module()
class Numbers(Dataset):
    """A data set of torch, with arguments and files of its own."""

    def __init__(self, place):
        self.place = place

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return index


@DATASETS.register_module()
class Packed(BaseDataset):
    """Takes its images from an archive."""

    def load_data_list(self):
        return [{'img_path': ['a', 'b'], 'member': 1}]


@DATASETS.register_module()
class Chosen(BaseSegDataset):
    def load_data_list(self):
        return super().load_data_list()[:2]


@pytest.fixture
def root(tmp_path):
    return make(tmp_path)


def with_preprocessor(root, pipeline, split='train', head=(), batch_size=2, **preprocessor):
    config = config_of(leaf(root, split, pipeline=pipeline), split, batch_size, **dict(head))
    config.model.data_preprocessor = {
        **{'type': 'SegDataPreProcessor', 'size': (16, 16), 'mean': [120.0] * 3, 'std': [60.0] * 3},
        **preprocessor,
    }
    return config


def test_labels_may_be_read_and_changed_by_the_users_own_steps(root):
    for index in range(4):
        save(root / f'masks/train/{index}.png', np.repeat(mask()[..., None] * 100, 3, axis=2))
    require_data(config_of(leaf(root, pipeline=[LOAD, {'type': 'LoadColours'}, PACK])), ('train',))
    for index in range(4):
        save(root / f'masks/train/{index}.png', mask() * 100)
    config = config_of(leaf(root, pipeline=[LOAD, LABELS, {'type': 'HalveIds'}, PACK]))
    require_data(config, ('train',))
    own = {**config.train_dataloader.dataset, 'pipeline': [LOAD, LABELS, lambda results: results, PACK]}
    require_data(SimpleConfig(config, own), ('train',))


class SimpleConfig(Config):
    """A config whose pipeline holds a function, which mmengine's config would not copy."""

    def __init__(self, config, dataset):
        super().__init__(config.to_dict())
        self.train_dataloader.dataset['pipeline'] = dataset['pipeline']


def test_images_may_be_read_by_other_loaders(root):
    for index in range(4):
        path = root / f'images/train/{index}.png'
        path.unlink()
        np.save(path.with_suffix('.npy'), np.zeros((20, 30, 25), np.float32))
    data = leaf(root, img_suffix='.npy', pipeline=[{'type': 'LoadImageFromNpyFile'}, LABELS, CROP, PACK])
    require_data(config_of(data), ('train',))
    assert LoadImage(color_type=1).color_type == 1  # a flag of OpenCV


@pytest.mark.parametrize(
    'data', [{'type': 'Numbers', 'place': 'x'}, {'type': 'Packed', 'data_root': '/none'}]
)
def test_data_sets_of_the_users_own_list_what_they_like(data):
    config = config_of({**data, **({'pipeline': []} if data['type'] == 'Packed' else {})})
    require_data(config, ('train',))
    assert [*leaves({'type': 'Own', 'datasets': ['a', 'b']})] == [{'type': 'Own', 'datasets': ['a', 'b']}]


def test_a_data_set_may_leave_images_out(root):
    require_data(config_of(leaf(root, type='Chosen')), ('train',))


def test_one_dark_image_of_16_bits_and_dark_ones_to_evaluate(root):
    for split in ('train', 'val'):
        for index in range(4):
            bright = 200 if split == 'train' and index else 1
            values = photograph()[..., 0].astype(np.uint16) * bright
            Image.fromarray(values).save(root / f'images/{split}/{index}.png')
    require_data(config_of(leaf(root)), ('train',))
    require_data(config_of(leaf(root, 'val'), 'val'), ('val',))


def test_a_palette_of_all_classes_serves_some_of_them():
    metainfo = {'classes': ('road', 'sky'), 'palette': [[1.0, 2.0, 3.0]] * 19}
    require_palette_length({'type': 'CityscapesDataset', 'metainfo': metainfo}, 'train')
    require_palette_length({'type': 'Packed', 'metainfo': {'classes': ('a', 'b'), 'palette': None}}, 'train')


def test_heads_for_edges_or_with_losses_of_their_own():
    edges = {'type': 'STDCHead', 'num_classes': 2}
    weights = {'type': 'CrossEntropyLoss', 'class_weight': [1.0] * 4}
    own = {'type': 'SideAdapterCLIPHead', 'num_classes': 3, 'loss_decode': [weights]}
    model = {'decode_head': own, 'auxiliary_head': [{'type': 'FCNHead', 'num_classes': 3}, edges]}
    require_losses(model)
    loader = {'dataset': {'type': 'BaseSegDataset', 'metainfo': {'classes': CLASSES}}}
    require_equal_classes(Config({'model': model, 'train_dataloader': loader}))


def test_folders_of_one_root_may_hold_labels_of_two_kinds():
    loaders = {
        f'{split}_dataloader': {
            'dataset': {
                'type': 'BaseSegDataset',
                'data_prefix': {'img_path': 'a', 'seg_map_path': f'{kind}/{split}'},
                'reduce_zero_label': kind == 'ade',
            }
        }
        for split, kind in (('train', 'ade'), ('val', 'own'))
    }
    require_equal_classes(Config({'model': {}, **loaders}))


def test_another_ignored_label_where_nothing_is_padded(root):
    """mmseg's config for HSI-Drive is such a one."""
    require_data(
        with_preprocessor(root, [LOAD, LABELS, CROP, PACK], head={'ignore_index': 0}.items()), ('train',)
    )
    padded = [LOAD, LABELS, {'type': 'RandomCrop', 'crop_size': (64, 64)}, PACK]
    config = with_preprocessor(root, padded, head={'ignore_index': 0}.items(), size=(64, 64))
    with pytest.raises(ConfigError, match=r'label 255, which is not a class of model.decode_head and is not'):
        require_data(config, ('train',))
    config.model.decode_head.loss_decode = {'type': 'CrossEntropyLoss', 'use_sigmoid': True}
    require_data(config, ('train',))


def test_crops_of_one_size_need_no_padding(root):
    config = with_preprocessor(root, [LOAD, LABELS, PACK])  # all larger than data_preprocessor.size
    require_data(config, ('train',))
    save(root / 'images/train/1.png', photograph(22, 34))
    save(root / 'masks/train/1.png', mask(22, 34))
    with pytest.raises(ConfigError, match=r'crops of 20x30, 22x34 pixels .* pads them to 16x16'):
        require_data(config, ('train',))
    config.train_dataloader.batch_size = 1
    require_data(config, ('train',))


def test_normalising_in_two_steps(root):
    scale = {'type': 'Normalize', 'mean': [0.0] * 3, 'std': [255.0] * 3}
    config = with_preprocessor(root, [LOAD, LABELS, CROP, scale, PACK], mean=[0.5] * 3, std=[0.2] * 3)
    require_data(config, ('train',))


def test_a_metric_that_only_writes_needs_no_labels(root):
    config = with_preprocessor(root, [LOAD, PACK], 'val')
    config.val_evaluator = {'type': 'IoUMetric', 'format_only': True, 'output_dir': 'x'}
    require_data(config, ('val',))


@pytest.mark.parametrize(
    'pipeline',
    [
        [LOAD, {'type': 'TestTimeAug', 'transforms': [[{'type': 'Resize', 'scale': (30, 20)}], [PACK]]}],
        [LOAD, lambda results: results, PACK],
    ],
    ids=['to one size', 'own'],
)
def test_batches_that_cannot_be_followed_are_not_judged(root, pipeline):
    config = SimpleNamespace(model={}, get=lambda key, default=None: default)
    loader = {'batch_size': 2, 'sampler': {'type': 'DefaultSampler', 'shuffle': False}}
    loader['dataset'] = {'pipeline': pipeline}
    sizes = [(root / 'a.png', (30, 20)), (root / 'b.png', (24, 20))]

    class Own(SimpleNamespace):
        __getitem__ = staticmethod(lambda key: loader)

    require_equal_sizes(Own(**vars(config)), 'val', sizes)


def test_a_label_image_that_fits_only_as_it_is_stored(root):
    tags = Image.Exif()
    tags[0x112] = 6
    save(root / 'masks/train/2.png', mask(), exif=tags)
    require_data(config_of(leaf(root)), ('train',))
