"""Images in a folder for each class: what is wrong with them is said before training."""

import json
import shutil

import cv2
import pytest
from mmengine import ConfigDict
from mmseg.registry import DATASETS

from infopro_seg.config_files import load_config
from infopro_seg.datasets.checks.head_losses import heads
from infopro_seg.datasets.checks.whole_images import require_images
from infopro_seg.errors import ConfigError, DataError
from infopro_seg.training.checks.config_check import require_keys
from infopro_seg.training.launch import train
from tests.classification.made import NAMES, picture
from tests.classification.tiny import local_head
from tests.docs.shell import blocks
from tests.runs import ROOT

PAGE = ROOT / 'docs' / 'classification.md'
SPLITS = ('train', 'val', 'test')


@pytest.fixture
def root(tmp_path):
    """Folders of three classes, with two images each."""
    for split in ('train', 'test'):
        for index, name in enumerate(NAMES):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(2):
                cv2.imwrite(str(tmp_path / split / name / f'{number}.png'), picture(2 * index + number))
    return tmp_path


def data_set(folder, split, **changes):
    return {'type': 'mmpretrain.CustomDataset', 'data_root': str(folder), 'data_prefix': split, **changes}


def config_of(folder, head=None, test=None, **changes):
    return ConfigDict(
        model={'type': 'InfoProImageClassifier', 'head': head or {'type': 'LinearClsHead', 'num_classes': 3}},
        train_dataloader={'dataset': data_set(folder, 'train', **changes)},
        val_dataloader={'dataset': data_set(test or folder, 'test', **changes)},
        data_howto='unpack them',
        test_dataloader=None,
    )


def refused(kind, words, *arguments, **options):
    with pytest.raises(kind, match=words):
        require_images(config_of(*arguments, **options), ('train', 'val', 'test'))


def test_a_shipped_config_trains_on_folders(root, tmp_path):
    """That of STL-10, made small."""
    model = {
        'backbone.encoder.depth': 8,
        'backbone.encoder.base_channels': 4,
        'backbone.num_modules': None,
        'backbone.cuts': ('layer1.0',),
        'backbone.local_head': {**local_head('contrast'), '_delete_': True},
        'head.num_classes': 3,
    }
    loaders = {
        f'{split}_dataloader.{key}': value
        for split, size in (('train', 6), ('val', 6), ('test', 6))
        for key, value in (
            ('batch_size', size),
            ('num_workers', 0),
            ('persistent_workers', False),
            ('dataset.data_root', str(root)),
        )
    }
    options = {
        **{f'model.{key}': value for key, value in model.items()},
        **loaders,
        'train_cfg.max_iters': 2,
        'train_cfg.val_interval': 2,
        'param_scheduler': [],
        'val_evaluator.topk': (1, 2),
        'visualizer.vis_backends': [{'type': 'LocalVisBackend'}],
        'experiment_name': 'folders',
    }
    config = ROOT / 'configs' / 'classification' / 'resnet110_infopro_stl10.py'
    train(config, work_dir=str(tmp_path / 'run'), options=options)
    metrics = json.loads((tmp_path / 'run' / 'metrics.json').read_text())
    assert set(metrics['percent']) == {'accuracy/top1', 'accuracy/top2'}


def test_the_config_of_the_page_takes_three_classes(root, tmp_path):
    code, _ = blocks(PAGE, 'python')
    path = tmp_path / 'mine.py'
    code = code.replace("'./", f"'{ROOT}/configs/classification/").replace('data/mine', str(root))
    path.write_text(code)
    config = load_config(path)
    require_keys(config)
    require_images(config, ('train', 'val', 'test'))
    sets = [config[f'{split}_dataloader'].dataset for split in SPLITS]
    assert [(one.data_root, one.data_prefix) for one in sets] == [
        (str(root), part) for part in ('train', 'test', 'test')
    ]
    assert [head['num_classes'] for _, head in heads(config.model)] == [3, 3]


def test_the_page_makes_one_file_of_the_folders(root, tmp_path, monkeypatch):
    _, code = blocks(PAGE, 'python')
    monkeypatch.chdir(tmp_path)
    exec(code.replace('data/mine', str(root)), {})
    for split in ('train', 'test'):
        built = DATASETS.build({'type': 'EncodedImages', 'data_file': 'images.npz', 'split': split})
        assert built.metainfo['classes'] == NAMES
        infos = [built.get_data_info(index) for index in range(len(built))]
        assert [info['gt_label'] for info in infos] == [0, 0, 1, 1, 2, 2]
        for index, info in enumerate(infos):
            assert (info['img'] == picture(index)).all()


def test_folders_are_taken_as_they_are(root):
    require_images(config_of(root), ('train', 'val', 'test'))
    require_images(config_of(root, metainfo={'classes': NAMES[::-1]}), ())  # what is not read is not checked
    refused(ConfigError, 'cannot build the train data set .*CustomDataset: .*unpack them', root / 'nowhere')


def test_a_class_that_a_split_lacks_would_shift_the_ids(root):
    shutil.rmtree(root / 'test' / 'middle')
    refused(DataError, 'different folders of classes: only train has middle. .*give both the same', root)
    (root / 'test' / 'other').mkdir()
    cv2.imwrite(str(root / 'test' / 'other' / '0.png'), picture(0))
    words = 'train and the val split have different .*: only train has middle; only val has other. Ids'
    refused(DataError, words, root)
    (root / 'test' / 'other').rename(root / 'test' / 'middle')
    (root / 'test' / 'middle' / '0.png').unlink()  # an empty folder keeps the ids
    require_images(config_of(root), ('train', 'val'))


def test_names_in_another_order_than_the_folders_are_refused(root):
    named = {'metainfo': {'classes': ('right', 'middle', 'left')}}
    refused(
        ConfigError,
        r"has classes=\('right', 'middle', 'left'\), but folders get .*'left', 'middle'",
        root,
        **named,
    )
    require_images(config_of(root, metainfo={'classes': ('Links', 'Mitte', 'Rechts')}), ('train', 'val'))


def test_folders_of_other_names_are_the_same_classes_if_both_are_named(root):
    for name in NAMES:
        (root / 'test' / name).rename(root / 'test' / f'{NAMES.index(name)}_{name}')
    refused(DataError, 'different folders of classes', root)
    require_images(config_of(root, metainfo={'classes': ('a', 'b', 'c')}), ('train', 'val'))


def test_labels_of_a_list_are_classes(root):
    (root / 'list.txt').write_text('left/0.png 0\nright/0.png 3\n')
    listed = {'ann_file': 'list.txt', 'metainfo': {'classes': NAMES}}
    refused(DataError, 'the train split has the label 3, but its 3 classes are 0 to 2', root, **listed)
    (root / 'list.txt').write_text('left/0.png 0\nright/0.png 2\n')
    require_images(config_of(root, **listed), ('train', 'val'))


def test_heads_have_the_classes_of_the_folders(root):
    head = {'type': 'LinearClsHead', 'num_classes': 4}
    refused(
        ConfigError, r'model.head.num_classes=4, but the train data set .* has 3 classes; write', root, head
    )
    contrast = {'type': 'ConvClassifierHead', 'num_classes': 10, 'loss': 'contrast'}  # it predicts none
    require_images(config_of(root, contrast), ('train', 'val'))


def test_a_list_of_labels_beside_folders_is_compared_by_names(root):
    """As ImageNet has it: folders of numbers for training, a list for validation, and names of its own."""
    config = config_of(root, metainfo={'classes': ('a', 'b', 'c')})
    (root / 'list.txt').write_text('left/0.png 0\nright/0.png 2\n')
    config.val_dataloader.dataset.ann_file = 'list.txt'
    require_images(config, ('train', 'val'))
    config.val_dataloader.dataset.metainfo = {'classes': ('a', 'c', 'b')}
    with pytest.raises(DataError, match=r"ids mean other classes: .*\('a', 'b', 'c'\) and \('a', 'c', 'b'\)"):
        require_images(config, ('train', 'val'))
