from types import SimpleNamespace

import pytest
from mmengine.hooks import EarlyStoppingHook

from infopro_seg.hooks.early_stop import STOPPED_EARLY, EarlyStopHook, is_finished
from infopro_seg.training.stage_result import stage_result
from tests.runs import load, train_tiny

GUARD, RESULTS = {'type': 'CheckpointGuardHook'}, {'type': 'ResultsHook'}
# no improvement is ever enough: the second validation ends the training
STOPPER = {'type': 'EarlyStoppingHook', 'monitor': 'mIoU', 'patience': 1, 'min_delta': 200.0}


def stopping(streets, folder, hooks=(GUARD, STOPPER), resume=False, **options):
    """A run that validates after each iteration, with results."""
    options = {'train_cfg.val_interval': 1, 'default_hooks.checkpoint.interval': 100, **options}
    return train_tiny(streets, folder, resume=resume, results=True, custom_hooks=[*hooks, RESULTS], **options)


@pytest.fixture
def short(monkeypatch):
    """Results without the panel, which takes a second."""
    monkeypatch.setattr('infopro_seg.hooks.results.draw_panel', lambda *args: None)


@pytest.mark.usefixtures('short')
def test_an_early_stop_is_the_end_of_the_run_also_when_it_is_resumed(streets, tmp_path):
    runner = stopping(streets, tmp_path)
    assert (runner.iter, is_finished(runner)) == (2, True)
    assert (tmp_path / 'metrics.json').is_file()
    checkpoint = load(tmp_path / 'iter_2.pth')
    assert checkpoint['meta']['iter'] == checkpoint['message_hub']['runtime_info'][STOPPED_EARLY] == 2
    [stopper] = [hook for hook in runner.hooks if isinstance(hook, EarlyStoppingHook)]
    assert checkpoint['early_stopping'] == [(1, pytest.approx(stopper.best_score))]
    assert stage_result(runner.cfg).finished

    (tmp_path / 'metrics.json').unlink()
    again = stopping(streets, tmp_path, resume=True)
    assert (again.iter, is_finished(again)) == (2, True)
    assert (tmp_path / 'metrics.json').is_file()

    longer = stopping(streets, tmp_path, hooks=[GUARD], resume=True, **{'train_cfg.max_iters': 3})
    assert (longer.iter, is_finished(longer)) == (3, True)
    assert STOPPED_EARLY not in load(tmp_path / 'iter_3.pth')['message_hub']['runtime_info']


def stand_in(resume=True):
    """A runner with early stopping of two metrics."""
    stoppers = [EarlyStoppingHook('mIoU'), EarlyStoppingHook('loss')]
    return SimpleNamespace(hooks=[*stoppers, EarlyStopHook()], _resume=resume)


@pytest.mark.parametrize('resume', [True, False])
def test_what_early_stopping_has_seen_is_resumed(resume):
    first, again, checkpoint = stand_in(), stand_in(resume), {}
    for hook, score in zip(first.hooks, (41.5, 0.25), strict=False):
        for value in (score, score):
            hook._check_stop_condition(value)
    first.hooks[-1].before_save_checkpoint(first, checkpoint)
    again.hooks[-1].after_load_checkpoint(again, checkpoint)
    for hook, other in zip(first.hooks[:2], again.hooks[:2], strict=True):
        same = (other.wait_count, other.best_score) == (hook.wait_count, hook.best_score)
        assert same is resume


@pytest.mark.usefixtures('short')
def test_mmengines_own_loop_stops_early_too(streets, tmp_path):
    loop = {'_delete_': True, 'type': 'IterBasedTrainLoop', 'max_iters': 6, 'val_interval': 1}
    runner = stopping(streets, tmp_path, train_cfg=loop)
    assert (runner.iter, is_finished(runner)) == (2, True)
    assert load(tmp_path / 'iter_2.pth')['meta']['iter'] == 2
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_2.pth')


def test_a_run_that_did_not_come_to_its_end_is_not_finished():
    hub = SimpleNamespace(runtime_info={})
    assert not is_finished(SimpleNamespace(iter=3, max_iters=6, message_hub=hub, train_loop=None))
    assert is_finished(SimpleNamespace(iter=6, max_iters=6, message_hub=hub, train_loop=None))
