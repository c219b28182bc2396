"""Checkpoints that would give wrong predictions or metrics without a word."""

import pytest
import torch

from infopro_seg import load
from infopro_seg.errors import CheckpointError
from infopro_seg.evaluate import evaluate
from infopro_seg.hooks.checkpoint_guard import require_classes, require_fit
from tests.runs import DEMO, tiny_options


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_not_finite_are_refused(value):
    expected = {'a.weight': torch.zeros(3), 'mask': torch.tensor([0.0, float('-inf')])}
    require_fit({key: weight.clone() for key, weight in expected.items()}, expected, 'c.pth')
    broken = {**expected, 'a.weight': torch.tensor([0.0, value, 0.0])}
    with pytest.raises(
        CheckpointError, match=r'c\.pth holds 1 weights that are NaN .* a\.weight: its training'
    ):
        require_fit(broken, expected, 'c.pth')


def meta(*classes, old=False):
    return {'meta': {'CLASSES': classes} if old else {'dataset_meta': {'classes': classes}}}


@pytest.mark.parametrize('old', [False, True], ids=['mmseg 1', 'mmseg 0'])
def test_classes_in_another_order_are_refused(old):
    with pytest.raises(
        CheckpointError, match=r'trained on the classes a, b, c, which .* order: a, c, b; give'
    ):
        require_classes(meta('a', 'b', 'c', old=old), ('a', 'c', 'b'), 'c.pth')


@pytest.mark.parametrize(
    ('checkpoint', 'classes'),
    [(meta('a', 'b'), ['a', 'b']), (meta('a', 'b'), ('x', 'y')), (meta('a', 'b'), None), ({}, ('a', 'b'))],
)
def test_other_classes_are_left_to_the_user(checkpoint, classes):
    require_classes(checkpoint, classes, 'c.pth')


@pytest.fixture
def changed(checkpoint, tmp_path):
    """Saves the checkpoint of the tiny network with a change."""

    def change(edit):
        content = torch.load(checkpoint, weights_only=False)
        edit(content)
        torch.save(content, tmp_path / 'changed.pth')
        return tmp_path / 'changed.pth'

    return change


def test_predictions_need_the_classes_of_the_network(changed, streets, tmp_path):
    def fewer(content):
        content['meta']['dataset_meta']['classes'] = ('road', 'sky')

    config = tmp_path / 'config.py'
    config.write_text(f"_base_ = '{DEMO}'\n")
    options = tiny_options(streets)
    from infopro_seg.config_files import load_config

    load_config(config, options).dump(config)
    with pytest.raises(CheckpointError, match='names 2 classes, but the network of the config predicts 19'):
        load(config, changed(fewer))


def test_an_evaluation_needs_all_weights_also_without_the_hook_in_the_config(changed, streets, tmp_path):
    def lacking(content):
        del content['state_dict']['decode_head.conv_seg.bias']

    options = {**tiny_options(streets), 'custom_hooks': []}
    with pytest.raises(CheckpointError, match=r'1 weights are missing, e\.g\. decode_head\.conv_seg\.bias'):
        evaluate(DEMO, changed(lacking), work_dir=str(tmp_path), options=options)
