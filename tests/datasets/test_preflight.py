import shutil

import pytest
from mmengine.config import Config

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.preflight import require_data
from infopro_seg.errors import DataError
from tests.runs import DEMO, LOADERS, images, label_file

HOWTO = 'python tools/make_synthetic_streets.py --out data/synthetic_streets_demo'


def config(root):
    config = Config.fromfile(str(DEMO))
    for loader in LOADERS:
        config[loader].dataset.data_root = str(root)
    return config


def check(root, *splits):
    require_data(config(root), splits or ('train', 'val', 'test'))


def refusal(*args):
    with pytest.raises(DataError) as caught:
        check(*args)
    return str(caught.value)


def test_complete_data_passes(streets):
    check(streets)


@pytest.mark.parametrize(
    ('split', 'folder'),
    [
        ('train', 'leftImg8bit/train'),
        ('train', 'gtFine/train'),
        ('val', 'leftImg8bit/val'),
        ('test', 'gtFine/val'),
    ],
)
def test_a_missing_folder_is_named_with_the_command_that_makes_it(spoilt, split, folder):
    shutil.rmtree(spoilt / folder)
    assert refusal(spoilt, split).startswith(
        f'the {split} data is missing: no folder {spoilt / folder}; to get it: {HOWTO}'
    )


def test_only_the_splits_asked_for_are_checked(spoilt):
    shutil.rmtree(spoilt / 'leftImg8bit/train')
    check(spoilt, 'val')


def test_an_empty_split_is_named(spoilt):
    for image in images(spoilt):
        image.unlink()
    expected = f'the train split is empty: no *_leftImg8bit.png in {spoilt}/leftImg8bit/train; to get it: '
    assert refusal(spoilt, 'train').startswith(expected)


def test_missing_label_images_are_counted_and_named(spoilt):
    gone = [label_file(image) for image in images(spoilt)[2:5]]
    for path in gone:
        path.unlink()
    message = refusal(spoilt, 'train')
    assert message.startswith('3 of 8 label images of the train split are missing, e.g. ')
    assert any(str(path) in message for path in gone)
    assert f'; to get it: {HOWTO}' in message


def test_without_a_howto_the_paths_are_to_be_corrected(tmp_path):
    broken = config(tmp_path)
    broken.pop('data_howto')
    with pytest.raises(DataError, match='correct the paths in the config'):
        require_data(broken, ('train',))


@pytest.mark.parametrize('wrapper', ['RepeatDataset', 'ConcatDataset'])
def test_data_sets_inside_wrappers_are_checked(streets, tmp_path, wrapper):
    wrapped = config(streets)
    good, bad = wrapped.train_dataloader.dataset, config(tmp_path / 'none').train_dataloader.dataset
    inner = {'times': 2, 'dataset': bad} if wrapper == 'RepeatDataset' else {'datasets': [good, bad]}
    wrapped.train_dataloader.dataset = {'type': wrapper, **inner}
    with pytest.raises(DataError, match=r'no folder .*/none/leftImg8bit/train'):
        require_data(wrapped, ('train',))
