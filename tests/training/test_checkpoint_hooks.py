"""Checkpoint hooks beside each other, and what a training keeps."""

from types import SimpleNamespace

import pytest
from mmengine.hooks import CheckpointHook

from infopro_seg.errors import ConfigError
from infopro_seg.training.checks.checkpoint_hooks import require_checkpoints


def said_of(hooks, **loop):
    said = []
    for hook in hooks:
        hook.out_dir = hook.out_dir or 'work'
    require_checkpoints(
        SimpleNamespace(
            hooks=hooks,
            train_loop=SimpleNamespace(**loop),
            _val_loop=object(),
            logger=SimpleNamespace(warning=said.append),
        )
    )
    return said


def best_alone(**more):
    return CheckpointHook(-1, by_epoch=False, save_last=False, save_best='mIoU', **more)


def test_a_hook_for_the_best_alone_stands_beside_another():
    every = CheckpointHook(2, by_epoch=False)
    assert said_of([every, best_alone(max_keep_ckpts=1)], max_iters=9) == []
    every.max_keep_ckpts = 2  # of which a resume would leave 1
    with pytest.raises(ConfigError, match='max_keep_ckpts=1 would remove what the other saves'):
        said_of([every, best_alone(max_keep_ckpts=1)], max_iters=9)
    assert said_of([every, best_alone(max_keep_ckpts=2)], max_iters=9) == []


@pytest.mark.parametrize(('begin', 'saved'), [(1, 'only the best checkpoint'), (10, 'no checkpoint')])
def test_a_training_that_saves_the_best_alone_loses_its_last_weights(begin, saved):
    [text] = said_of([best_alone()], max_iters=9, val_begin=begin)
    assert text.startswith(f'this training saves {saved} (interval=-1, save_last=False), and its last')


def test_a_loop_of_the_users_own_counts_its_epochs():
    hook = CheckpointHook(5, by_epoch=True, save_last=False)
    assert said_of([hook], max_epochs=10, max_iters=1000) == []
    hook.interval = 11
    assert 'saves no checkpoint (interval=11' in said_of([hook], max_epochs=10, max_iters=1000)[0]
