"""Mistakes in configs and files of classifiers, and what is said of them."""

import cv2
import pytest
from mmengine import ConfigDict

from infopro_seg.datasets.checks.whole_images import require_images
from infopro_seg.errors import ConfigError
from infopro_seg.predict import predict
from infopro_seg.training.launch import train
from tests.classification.made import picture, write_config, write_npz
from tests.classification.tiny import local_head

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
