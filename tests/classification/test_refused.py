"""Mistakes in configs and files of classifiers, and what is said of them."""

from urllib.error import URLError

import cv2
import pytest
from mmengine import ConfigDict
from mmengine.config import Config
from mmpretrain.datasets import cifar
from mmseg.registry import DATASETS

from infopro_seg.datasets.checks.whole_images import require_images
from infopro_seg.errors import ConfigError, DataError
from infopro_seg.predict import predict
from infopro_seg.training.launch import train
from tests.classification.made import picture, write_config, write_npz
from tests.classification.tiny import local_head
from tests.runs import ROOT

SINGLE = {'train_dataloader.batch_size': 1}


def train_a_step(folder, head, **options):
    config = write_config(folder / 'config.py', write_npz(folder / 'made.npz'), iterations=1)
    options = {
        'model.backbone.local_head': {**head, '_delete_': True},
        'experiment_name': folder.name,
        'visualizer.name': folder.name,
        **dict.fromkeys(('val_dataloader', 'val_cfg', 'val_evaluator')),
        'custom_hooks': [],
        **options,
    }
    return train(config, work_dir=str(folder / 'run'), options=options)


def test_contrast_with_one_image_in_a_batch_is_refused_before_training(tmp_path):
    with pytest.raises(ConfigError) as caught:
        train_a_step(tmp_path, local_head('contrast'), **SINGLE)
    for word in (
        'batch_size=1 of the train_dataloader',
        "loss='contrast'",
        'with one image it is 0',
        'a larger',
    ):
        assert word in str(caught.value)
    assert not list(tmp_path.rglob('scalars.json'))


def test_softmax_with_one_image_in_a_batch_trains(tmp_path):
    assert train_a_step(tmp_path, local_head(), **SINGLE).iter == 1


def test_the_last_stage_trains_no_head_that_contrasts(tmp_path):
    stages = [{}, {'train_dataloader': {'batch_size': 1}}]
    assert train_a_step(tmp_path, local_head('contrast'), stages=stages).iter == 1


def settings(**dataset):
    howto = 'run make_it.py'
    return ConfigDict(
        {'train_dataloader': {'dataset': {'pipeline': [], **dataset}}, 'data_howto': howto}, model={}
    )


def encoded(path, **kwargs):
    return settings(type='EncodedImages', data_file=str(path), split='train', **kwargs)


@pytest.mark.parametrize('count', [-3, 0, 1.5, True, 'all'])
def test_a_number_of_images_per_class_that_makes_no_sense_is_refused(tmp_path, count):
    path = write_npz(tmp_path / 'made.npz')
    with pytest.raises(ConfigError, match=f'^per_class={count!r} of EncodedImages; write 1 or more, or None'):
        require_images(encoded(path, per_class=count), ['train'])
    for fine in (1, 10, None):
        require_images(encoded(path, per_class=fine), ['train'])


def test_how_to_get_a_missing_file_is_said(tmp_path):
    config = encoded(tmp_path / 'nowhere.npz')
    words = r'cannot be read: .*nowhere.npz \(FileNotFoundError.*; to get it: run make_it.py$'
    with pytest.raises(DataError, match=words):
        require_images(config, ['train'])
    del config['data_howto']
    with pytest.raises(DataError, match=r'or make the file$') as caught:
        require_images(config, ['train'])
    assert caught.value.__cause__ is not caught.value


def test_how_to_get_cifar_10_without_the_web_is_said(tmp_path, monkeypatch):
    def no_web(*_, **__):
        raise URLError('no route to host')

    monkeypatch.setattr(cifar, 'download_and_extract_archive', no_web)
    config = Config.fromfile(str(ROOT / 'configs/_base_/datasets/cifar10.py'))
    for dataset in (config.train_dataloader.dataset, config.val_dataloader.dataset):
        dataset.data_root = str(tmp_path)
    archive, folder = cifar.CIFAR10.filename, config.data_root
    with pytest.raises(ConfigError, match='no route to host') as caught:
        require_images(config, ['train'])
    assert f'or get the data: download {archive} ' in str(caught.value)
    assert f'unpack it into {folder}' in str(caught.value)


def test_cifar_10_is_found_where_the_advice_unpacks_it(tmp_path, monkeypatch):
    """The archive holds one folder with all its files."""
    looked_for = []
    monkeypatch.setattr(cifar, 'check_md5', lambda path, md5: looked_for.append(path) or True)
    monkeypatch.setattr(cifar, 'exists', lambda path: looked_for.append(path) or True)
    built = DATASETS.build({'type': 'mmpretrain.CIFAR10', 'data_root': str(tmp_path), 'lazy_init': True})
    assert built._check_integrity()
    assert {path.rpartition('/')[0] for path in looked_for} == {f'{tmp_path}/cifar-10-batches-py'}


@pytest.mark.parametrize(
    ('kind', 'given', 'message'),
    [
        ('EncodedImages', {'per_clas': 4}, 'does not accept per_clas=4; did you mean per_class?'),
        ('EncodedImages', {'zoom': 2}, 'does not accept zoom=2; it accepts data_file, split, per_class, '),
        (
            'mmpretrain.CIFAR10',
            {'data_root': 'x', 'splitt': 'train'},
            "accept splitt='train'; did you mean split?",
        ),
    ],
)
def test_a_misspelt_argument_is_named_and_no_path_blamed(tmp_path, kind, given, message):
    file = {'data_file': str(write_npz(tmp_path / 'made.npz'))} if kind == 'EncodedImages' else {}
    with pytest.raises(ConfigError, match=f'cannot build the train data set {kind}: ') as caught:
        require_images(settings(type=kind, **file, **given), ['train'])
    assert message in str(caught.value)
    assert 'path' not in str(caught.value)
    assert 'make_it' not in str(caught.value)


def test_a_file_that_is_no_image_is_skipped_with_the_reason(run, tmp_path, capsys):
    good = tmp_path / '0.png'
    cv2.imwrite(str(good), picture(100))
    files = {'empty.png': b'', 'text.png': b'<html>', 'cut.png': good.read_bytes()[:300]}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    paths = [tmp_path / name for name in files]
    assert predict(run / 'config.py', run / 'run/iter_4.pth', [good, *paths], tmp_path / 'out') == paths
    said = capsys.readouterr().err.splitlines()
    empty, text, cut = (line for line in said if line.startswith('skipped: '))
    assert empty == f'skipped: cannot read the image {paths[0]}: the file is empty; replace or remove it'
    assert f'{paths[1]}: it is a web page or another text' in text
    assert f'cannot read the image {paths[2]}: ' in cut
    assert 'OpenCV(' not in ''.join(said)
