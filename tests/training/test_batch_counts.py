"""`drop_last` where it leaves no batch, or images out of the metrics."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from mmengine.dataset import InfiniteSampler
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, ValLoop
from mmengine.runner import TestLoop as Testing
from torch.utils.data import DataLoader

from infopro_seg.errors import ConfigError
from infopro_seg.training.checks.batch_counts import require_batches


def told(key, count, batch_size, drop_last=True, kind=object):
    """The warnings about a loader of some images."""
    loop = type('Loop', (kind,), {'__init__': lambda self: None})()
    loop.dataloader = DataLoader([0] * count, batch_size, drop_last=drop_last)
    warnings = []
    require_batches(SimpleNamespace(logger=SimpleNamespace(warning=warnings.append)), {key: loop})
    return warnings


@pytest.mark.parametrize(('key', 'kind'), [('val_cfg', object), ('train_cfg', EpochBasedTrainLoop)])
def test_a_loader_that_gives_no_batch_is_refused(key, kind):
    name = key.replace('cfg', 'dataloader')
    with pytest.raises(
        ConfigError, match=f'{name} gives no batch: .*batch_size=4, and a process gets 3 images'
    ):
        told(key, 3, 4, kind=kind)
    assert told(key, 3, 4, drop_last=False, kind=kind) == []
    assert told(key, 4, 4, kind=kind) == []


def test_images_that_are_not_measured_are_warned_of():
    [warning] = told('test_cfg', 7, 3)
    assert 'drop_last=True of test_dataloader leaves 1 of 7 images out' in warning
    assert told('train_cfg', 7, 3, kind=EpochBasedTrainLoop) == []


def test_a_sampler_without_an_end_or_a_length_is_left_alone():
    for sampler in (InfiniteSampler([0] * 3), iter([0, 1, 2])):
        loop = type('Loop', (EpochBasedTrainLoop,), {'__init__': lambda self: None})()
        loop.dataloader = DataLoader([0] * 3, 4, sampler=sampler, drop_last=True)
        require_batches(SimpleNamespace(), {'train_cfg': loop})


@pytest.mark.parametrize(('key', 'kind'), [('val_cfg', ValLoop), ('test_cfg', Testing)])
def test_an_evaluation_that_would_never_end_is_refused(key, kind):
    own = type('OwnLoop', (kind,), {'run': lambda self: None})  # which may stop by itself
    for loop_type in (kind, own):
        loop = type('Loop', (loop_type,), {'__init__': lambda self: None})()
        loop.dataloader = DataLoader([0] * 3, sampler=InfiniteSampler([0] * 3))
        refused = pytest.raises(
            ConfigError, match=f'{key[:-4]}_dataloader has an InfiniteSampler, with which'
        )
        with refused if loop_type is kind else nullcontext():
            require_batches(SimpleNamespace(), {key: loop})


def test_an_endless_sampler_that_was_given_an_end_passes():
    ended = type('Ended', (InfiniteSampler,), {'__iter__': lambda self: iter(range(3))})
    loop = type('Loop', (ValLoop,), {'__init__': lambda self: None})()
    loop.dataloader = DataLoader([0] * 3, sampler=ended([0] * 3))
    require_batches(SimpleNamespace(), {'val_cfg': loop})


def test_a_training_by_iterations_goes_on_with_the_next_epoch():
    assert told('train_cfg', 3, 4, kind=IterBasedTrainLoop) == []
