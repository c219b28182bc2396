from types import SimpleNamespace

import pytest
from mmengine.hooks import EarlyStoppingHook

from infopro_seg.hooks.early_stop import STOPPED_EARLY, EarlyStopHook, is_finished
from infopro_seg.training.turn_result import turn_result
from tests.runs import load, train_tiny

GUARD, RESULTS = {'type': 'CheckpointGuardHook'}, {'type': 'ResultsHook'}
# no improvement is ever enough: the second validation ends the training
STOPPER = {'type': 'EarlyStoppingHook', 'monitor': 'mIoU', 'patience': 1, 'min_delta': 200.0}


def stopping(streets, folder, hooks=(GUARD, STOPPER), resume=False, **options):
    """A run that validates after each iteration, with results."""
    options = {'train_cfg.val_interval': 1, 'default_hooks.checkpoint.interval': 100, **options}
    return train_tiny(streets, folder, resume=resume, results=True, custom_hooks=[*hooks, RESULTS], **options)


def test_an_early_stop_is_the_end_of_the_run_also_when_it_is_resumed(streets, tmp_path):
    runner = stopping(streets, tmp_path)
    assert (runner.iter, is_finished(runner)) == (2, True)
    assert (tmp_path / 'metrics.json').is_file()
    checkpoint = load(tmp_path / 'iter_2.pth')
    assert checkpoint['meta']['iter'] == checkpoint['message_hub']['runtime_info'][STOPPED_EARLY] == 2
    first = load(tmp_path / 'best_mIoU_iter_1.pth')['message_hub']['runtime_info']['best_score']
    assert checkpoint['message_hub']['runtime_info']['early_stopping'] == [(1, pytest.approx(first))]
    assert turn_result(runner.cfg).finished

    (tmp_path / 'metrics.json').unlink()
    again = stopping(streets, tmp_path, resume=True)
    assert (again.iter, is_finished(again)) == (2, True)
    assert (tmp_path / 'metrics.json').is_file()

    longer = stopping(streets, tmp_path, hooks=[GUARD], resume=True, **{'train_cfg.max_iters': 3})
    assert (longer.iter, is_finished(longer)) == (3, True)
    assert STOPPED_EARLY not in load(tmp_path / 'iter_3.pth')['message_hub']['runtime_info']


def test_a_checkpoint_that_is_saved_again_after_a_validation_has_what_early_stopping_has_seen(
    streets, tmp_path
):
    options = {'train_cfg.max_iters': 1, 'default_hooks.checkpoint.interval': 1}
    stopping(streets, tmp_path, **options)
    known = load(tmp_path / 'iter_1.pth')['message_hub']['runtime_info']
    assert known['early_stopping'] == [(0, known['best_score'])]


def stand_in(resume=True):
    """A runner with early stopping of two metrics."""
    stoppers = [EarlyStoppingHook('mIoU'), EarlyStoppingHook('loss')]
    info = {}
    hub = SimpleNamespace(runtime_info=info, update_info=info.__setitem__)
    return SimpleNamespace(hooks=[*stoppers, EarlyStopHook()], _resume=resume, message_hub=hub)


@pytest.mark.parametrize('resume', [True, False])
def test_what_early_stopping_has_seen_is_resumed(resume):
    first, again = stand_in(), stand_in(resume)
    for hook, score in zip(first.hooks, (41.5, 0.25), strict=False):
        for value in (score, score):
            hook._check_stop_condition(value)
    first.hooks[-1].after_val_epoch(first)
    again.hooks[-1].after_load_checkpoint(
        again, {'message_hub': {'runtime_info': first.message_hub.runtime_info}}
    )
    for hook, other in zip(first.hooks[:2], again.hooks[:2], strict=True):
        same = (other.wait_count, other.best_score) == (hook.wait_count, hook.best_score)
        assert same is resume


def test_mmengines_own_loop_stops_early_too(streets, tmp_path):
    loop = {'_delete_': True, 'type': 'IterBasedTrainLoop', 'max_iters': 6, 'val_interval': 1}
    runner = stopping(streets, tmp_path, train_cfg=loop)
    assert (runner.iter, is_finished(runner)) == (2, True)
    assert load(tmp_path / 'iter_2.pth')['meta']['iter'] == 2
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_2.pth')


@pytest.mark.parametrize(
    ('iteration', 'interrupted', 'finished'), [(3, False, False), (6, False, True), (6, True, False)]
)
def test_a_run_that_did_not_come_to_its_end_is_not_finished(iteration, interrupted, finished):
    loop, hub = SimpleNamespace(interrupted=interrupted), SimpleNamespace(runtime_info={})
    runner = SimpleNamespace(iter=iteration, max_iters=6, train_loop=loop, message_hub=hub)
    assert is_finished(runner) is finished
