"""The last batch of an epoch may be one image, on which no norm after global pooling can train."""

import pytest
import torch

from infopro_seg.errors import ConfigError
from infopro_seg.training.checks import batch_counts
from tests.runs import TRAIN, train_tiny

LOOPS = [{'type': 'EpochBasedTrainLoop', 'max_epochs': 1}, {'type': 'IterBasedTrainLoop', 'max_iters': 2}]
SAMPLER = {'type': 'DefaultSampler', 'shuffle': True}


def train(streets, folder, loop=LOOPS[0], batch_size=TRAIN - 1, **options):
    loader = {'train_dataloader.sampler': SAMPLER, 'train_dataloader.batch_size': batch_size}
    settings = {'train_cfg': {**loop, '_delete_': True}, 'param_scheduler': []}
    return train_tiny(streets, folder, **loader, **settings, **options)


@pytest.mark.parametrize('norm', ['BN', 'SyncBN'])  # the same in a single process
@pytest.mark.parametrize('loop', LOOPS, ids=lambda loop: loop['type'])
def test_it_is_refused_before_training(streets, tmp_path, loop, norm, monkeypatch):
    words = rf'holds one image \({TRAIN} images of a process, batch_size={TRAIN - 1}\).*set drop_last=True'
    norms = {'model.decode_head.norm_cfg': {'type': norm}}
    with pytest.raises(ConfigError, match=words):
        train(streets, tmp_path / 'asked', loop, **norms)
    assert not list(tmp_path.rglob('scalars.json'))
    monkeypatch.setattr(batch_counts, '_require_last_batch', lambda *_: None)
    with pytest.raises(ConfigError, match='a batch norm of the network sees one value per channel'):
        train(streets, tmp_path / 'trained', loop, **norms)  # so the refusal was right
    assert list(tmp_path.rglob('scalars.json'))


def test_a_network_without_such_a_norm_trains_as_if_it_had_not_been_asked(streets, tmp_path, monkeypatch):
    norm = {'model.decode_head.norm_cfg': {'type': 'GN', 'num_groups': 2}}
    asked = train(streets, tmp_path / 'asked', **norm).model.state_dict()
    monkeypatch.setattr(batch_counts, '_require_last_batch', lambda *_: None)
    plain = train(streets, tmp_path / 'plain', **norm).model.state_dict()
    assert all(torch.equal(asked[name], plain[name]) for name in plain)


@pytest.mark.parametrize(
    'change',
    [
        {'train_dataloader.drop_last': True},
        {'batch_size': 6},
        {'batch_size': 2},
        {'loop': {**LOOPS[1], 'max_iters': 1}},  # ends before
    ],
)
def test_other_last_batches_pass(streets, tmp_path, change):
    train(streets, tmp_path, **change)


def test_the_loop_of_the_shipped_configs_has_no_last_batch(streets, tmp_path):
    options = {'train_dataloader.sampler': SAMPLER, 'train_dataloader.batch_size': TRAIN - 1}
    train_tiny(streets, tmp_path, **options)
    assert list(tmp_path.rglob('iter_6.pth'))
