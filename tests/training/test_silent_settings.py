"""Settings that would have no effect, or another than they seem to have."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper

import infopro_seg.register  # noqa: F401
from infopro_seg.datasets.checks.classes import require_equal_classes
from infopro_seg.datasets.checks.head_losses import require_losses
from infopro_seg.errors import ConfigError, DataError
from infopro_seg.faults import explained
from infopro_seg.training.checks.config_check import require_keys
from infopro_seg.training.checks.late_faults import _require_test_mode
from infopro_seg.training.checks.optimizer_check import require_optimizer
from infopro_seg.training.runner import require_launched
from tests.runs import demo


@pytest.mark.parametrize(
    ('option', 'place'),
    [
        ('train_pipeline.3.crop_size', 'train_dataloader.dataset.pipeline.3.crop_size'),
        ('data_root', 'train_dataloader.dataset.data_root'),
    ],
)
def test_options_that_set_a_used_variable_name_the_right_key(option, place):
    config = demo(train_pipeline=[], data_root='d')
    config.train_dataloader.dataset.pipeline[3].crop_size = (1, 1)
    with pytest.raises(ConfigError, match=rf'sets a variable that .*; set .*{place}'):
        require_keys(config, {option: 'value'})


def test_a_config_without_a_model_is_refused():
    with pytest.raises(ConfigError, match=r'the config has no model; write model=dict'):
        require_keys(demo(model=None))


def dataset(split, **changes):
    prefix = {'img_path': f'images/{split}', 'seg_map_path': f'masks/{split}'}
    return {'type': 'BaseSegDataset', 'data_root': 'd', 'data_prefix': prefix, **changes}


def splits(train, val, kind='BaseSegDataset'):
    return Config(
        {
            'model': {},
            'train_dataloader': {'dataset': {**dataset('train', **train), 'type': kind}},
            'val_dataloader': {'dataset': {**dataset('val', **val), 'type': kind}},
        }
    )


def test_labels_of_a_folder_are_read_alike_in_all_splits():
    with pytest.raises(ConfigError, match='is True in the train data set and False in the val data set'):
        require_equal_classes(splits({'reduce_zero_label': True}, {}))
    with pytest.raises(ConfigError, match='is True in the train data set and False in the val data set'):
        require_equal_classes(splits({}, {'reduce_zero_label': False}, 'ADE20KDataset'))
    for given in (
        ({'reduce_zero_label': True}, {'reduce_zero_label': True}),
        ({'reduce_zero_label': True}, {'data_root': 'other'}),
        ({'reduce_zero_label': True}, {'data_prefix': {'img_path': 'images/test'}}),
    ):
        require_equal_classes(splits(*given))


def head(ignore_index, padding):
    model = {
        'decode_head': {'type': 'FCNHead', 'num_classes': 3, **ignore_index},
        'data_preprocessor': padding,
    }
    return Config({'model': model})


@pytest.mark.parametrize(
    ('ignored', 'padding'), [({'ignore_index': 0}, {}), ({'ignore_index': 100}, {}), ({}, {'seg_pad_val': 9})]
)
def test_padding_that_is_no_class_is_warned_of(monkeypatch, ignored, padding):
    said = []
    monkeypatch.setattr('mmengine.logging.MMLogger.warning', lambda self, text: said.append(text))
    require_losses(head(ignored, padding).model)
    assert 'is not a class, and a padded crop would end the training; if there may be any, write' in said[0]


def test_padding_that_counts_as_a_class_is_warned_of(caplog, monkeypatch):
    said = []
    monkeypatch.setattr('mmengine.logging.MMLogger.warning', lambda self, text: said.append(text))
    require_losses(head({'ignore_index': 0}, {'seg_pad_val': 0}).model)
    assert not said
    require_losses(head({}, {'seg_pad_val': 0}).model)
    assert 'padded pixels count as class 0; unless they should, write seg_pad_val=255' in said[0]


def test_a_label_outside_the_classes_is_explained():
    with pytest.raises(IndexError) as caught:
        torch.nn.functional.cross_entropy(torch.zeros(1, 3), torch.tensor([255]), ignore_index=0)
    found = explained(caught.value)
    assert isinstance(found, DataError)
    assert 'a loss got the label 255, which is neither a class' in str(found)


@pytest.mark.parametrize(('launcher', 'name'), [('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID')])
def test_a_launcher_must_have_started_the_process(monkeypatch, launcher, name):
    monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match=f'--launcher {launcher} is for .* but {name} is not in the env'):
        require_launched(demo(launcher=launcher))
    monkeypatch.setenv(name, '0')
    require_launched(demo(launcher=launcher))
    require_launched(demo(launcher='none'))


def wrapped(optimizer, **arguments):
    """A runner of a small network with this optimizer, as far as it is looked at."""
    network = torch.nn.Linear(1, 1)
    wrapper = OptimWrapper(optimizer(network.parameters()), **arguments)
    return SimpleNamespace(optim_wrapper=wrapper, cfg={}, model=network)


@pytest.mark.parametrize('clip', [{'max_norm': 0}, {'max_norm': -1}, {'type': 'value', 'clip_value': '1'}])
def test_gradients_are_clipped_to_something_positive(clip):
    """A negative norm would turn every step round."""
    with pytest.raises(ConfigError, match=r'in clip_grad of optim_wrapper; write a number above 0'):
        require_optimizer(wrapped(torch.optim.SGD, clip_grad=clip))


def test_gradients_are_accumulated_over_whole_iterations():
    """Over 1.5, mmengine would take every third."""
    with pytest.raises(ConfigError, match=r'accumulative_counts=1\.5 in optim_wrapper; write a whole number'):
        require_optimizer(wrapped(torch.optim.SGD, accumulative_counts=1.5))
    require_optimizer(wrapped(torch.optim.SGD, accumulative_counts=2))


@pytest.mark.parametrize(
    ('optimizer', 'words'),
    [
        (torch.optim.LBFGS, r'LBFGS of optim_wrapper computes .* write another optimizer'),
        (torch.optim.SparseAdam, r'SparseAdam of optim_wrapper takes only sparse gradients; write Adam'),
    ],
)
def test_optimizers_that_cannot_take_a_step_here_are_refused(optimizer, words):
    with pytest.raises(ConfigError, match=words):
        require_optimizer(wrapped(optimizer))


def test_a_segmentor_needs_a_way_to_test():
    from mmseg.models.segmentors import BaseSegmentor

    class Model(BaseSegmentor):
        encode_decode = extract_feat = loss = predict = _forward = None
        test_cfg = None

    with pytest.raises(ConfigError, match=r"write test_cfg=dict\(mode='whole'\)"):
        _require_test_mode(Model())
