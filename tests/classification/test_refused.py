"""Mistakes in configs and files of classifiers, and what is said of them."""

import pytest

from infopro_seg.errors import ConfigError
from infopro_seg.training.launch import train
from tests.classification.made import write_config, write_npz
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
