"""Whatever ends a training, the last completed iteration is saved, and continued exactly."""

import errno
import json
import os
import signal
import threading
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import torch

from infopro_seg.cli import FAILED, FAULT, INTERRUPTED
from infopro_seg.faults import headline
from infopro_seg.hooks import results
from infopro_seg.training.interruptions.interrupts import killed_worker
from infopro_seg.training.launch import train
from tests.runs import DEMO, STOPPED, hooks, load, tiny_options, train_tiny
from tests.training import faults
from tests.training.faults import FAULTS, fail_at, fails
from tests.training.test_loop import assert_equal, assert_same_run


@pytest.mark.parametrize('fault', FAULTS)
def test_a_fault_between_the_backward_passes_costs_that_iteration_only(streets, trained, tmp_path, fault):
    """The first modules have new gradients and BN statistics by then; the checkpoint has neither."""
    with pytest.raises(type(FAULTS[fault]())):
        train_tiny(streets, tmp_path, custom_hooks=fail_at(3, fault))
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_2.pth')
    assert 'gradients' not in load(tmp_path / 'iter_2.pth')
    train_tiny(streets, tmp_path, resume=True)
    assert_same_run(tmp_path, trained)


def test_a_fault_keeps_the_gradients_that_waited_before_the_iteration(streets, tmp_path):
    accumulate = {'optim_wrapper.accumulative_counts': 3}
    train_tiny(streets, tmp_path / 'whole', **accumulate)
    with pytest.raises(KeyError):
        train_tiny(streets, tmp_path / 'parts', custom_hooks=fail_at(3, 'bug'), **accumulate)
    train_tiny(streets, tmp_path / 'parts', resume=True, **accumulate)
    assert_same_run(tmp_path / 'parts', tmp_path / 'whole')


def test_half_an_optimizer_step_is_not_saved(streets, tmp_path, capsys):
    options = {'custom_hooks': fail_at(STOPPED + 2, 'bug', where='step')}
    status, lines = fails(lambda: train_tiny(streets, tmp_path, **options), capsys)
    assert status == FAULT
    assert lines[0].startswith(f"error: KeyError: 'no such feature' ({faults.__file__}, line ")
    assert lines[1] == (
        f'the {STOPPED + 1} iterations so far are not saved: RuntimeError: the optimizer step was under way; '
        f'the newest checkpoint is {tmp_path / f"iter_{STOPPED}.pth"}'
    )
    assert [path.name for path in tmp_path.glob('*.pth')] == [f'iter_{STOPPED}.pth']


def test_a_hook_that_fails_costs_no_iteration(streets, trained, tmp_path, capsys):
    """The hooks behind it set the learning rate of the next iteration."""
    options = {'custom_hooks': hooks({'type': 'FailAfter', 'iteration': 2})}
    status, lines = fails(lambda: train_tiny(streets, tmp_path, **options), capsys)
    assert status == FAULT
    assert lines[0].startswith(f'error: ZeroDivisionError: in a hook ({faults.__file__}, line ')
    assert 'Traceback (most recent call last):' in lines
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert 'the training ends in iteration 3: ZeroDivisionError: in a hook' in log
    assert 'Traceback (most recent call last)' in log
    train_tiny(streets, tmp_path, resume=True)
    assert_same_run(tmp_path, trained)


def test_a_killed_worker_is_named_and_costs_no_training(streets, trained, tmp_path, capsys):
    options = {'workers': 1, 'custom_hooks': hooks({'type': 'KillWorkers'})}
    status, lines = fails(lambda: train_tiny(streets, tmp_path, **options), capsys)
    assert status == FAILED
    assert len(lines) == 1
    assert lines[0].startswith('error: a data-loading worker was killed')
    assert 'num_workers' in lines[0]
    train_tiny(streets, tmp_path, resume=True)
    assert_same_run(tmp_path, trained)


def test_a_signal_that_ends_the_workers_too_is_a_stop(streets, tmp_path):
    runner = train_tiny(streets, tmp_path, workers=1, custom_hooks=hooks({'type': 'StopGroup'}))
    assert (runner.iter, runner.train_loop.interrupted) == (2, True)
    assert load(tmp_path / 'iter_2.pth')['meta']['iter'] == 2


@pytest.mark.parametrize(('hook', 'named'), [('LoseConnection', False), ('LoseConnectionFirst', True)])
def test_a_worker_whose_death_is_told_late_costs_no_training(streets, tmp_path, capsys, hook, named):
    try:
        options = {'workers': 1, 'custom_hooks': hooks({'type': hook})}
        status, lines = fails(lambda: train_tiny(streets, tmp_path, **options), capsys)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    assert lines[0].startswith('error: a data-loading worker was killed') is named
    assert status == (FAILED if named else FAULT)
    assert load(tmp_path / 'iter_2.pth')['meta']['iter'] == 2


@pytest.mark.parametrize('workers', [0, 1])
def test_a_fault_of_the_user_s_transform_is_placed(streets, tmp_path, capsys, workers):
    options = tiny_options(streets, workers)
    pipeline = options['train_dataloader.dataset.pipeline']
    pipeline.insert(2, {'type': 'FailOnRead', 'file': str(tmp_path / 'count'), 'after': 4})
    status, lines = fails(lambda: train(DEMO, work_dir=str(tmp_path), options=options), capsys)
    assert status == FAULT
    assert lines[0].startswith(f'error: IndexError: list index out of range ({faults.__file__}, line ')
    assert lines[0].endswith(', in transform)')
    assert 'Traceback (most recent call last):' in lines
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_2.pth']


def test_a_full_disk_is_named_after_the_fault_that_it_keeps_from_being_saved(
    streets, tmp_path, capsys, monkeypatch
):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr('mmengine.runner.Runner.save_checkpoint', full)
    options = {'custom_hooks': fail_at(2, 'memory')}
    status, lines = fails(lambda: train_tiny(streets, tmp_path, **options), capsys)
    assert status == FAILED
    assert lines[2] == 'It ran out in the forward pass of iteration 2.'
    assert lines[0].startswith(
        'error: the memory of the GPU is used up: CUDA out of memory. Tried to allocate'
    )
    assert lines[1].startswith('the 1 iterations so far are not saved: cannot write ')
    assert 'No space left on device; make room' in lines[1]


def test_a_disk_that_is_full_at_a_checkpoint_is_the_cause(streets, tmp_path, capsys, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr('mmengine.runner.Runner.save_checkpoint', full)
    status, lines = fails(lambda: train_tiny(streets, tmp_path), capsys)
    assert status == FAILED
    assert lines[0] == f'error: cannot write {tmp_path}: No space left on device; make room on that disk'
    assert len(lines) == 2


def test_an_interrupted_validation_leaves_the_state_before_it(streets, tmp_path):
    """Of the weights that EMAHook has put in their place, and of the best score, nothing is left."""
    options = {'results': True, 'custom_hooks': hooks({'type': 'EMAHook'})}
    train_tiny(streets, tmp_path / 'whole', **options)
    options['custom_hooks'] = hooks({'type': 'EMAHook'}, {'type': 'SignalInValidation'})
    runner = train_tiny(streets, tmp_path / 'parts', **options)
    assert (runner.iter, runner.train_loop.interrupted) == (STOPPED, True)
    actual, expected = (load(tmp_path / run / f'iter_{STOPPED}.pth') for run in ('parts', 'whole'))
    for part in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers'):
        assert_equal(actual[part], expected[part])
    assert 'best_score' not in actual['message_hub']['runtime_info']
    assert 'best_score' in expected['message_hub']['runtime_info']  # noted after the validation


def test_what_is_saved_in_a_validation_has_the_weights_in_their_places(streets, tmp_path):
    """EMAHook has swapped trained and averaged weights there, and swaps them in each checkpoint."""
    own = hooks({'type': 'EMAHook', 'momentum': 0.1}, {'type': 'SaveInValidation'})
    train_tiny(streets, tmp_path, results=True, custom_hooks=own, **{'train_cfg.max_iters': STOPPED})
    inside, between = load(tmp_path / 'inside.pth'), load(tmp_path / f'iter_{STOPPED}.pth')
    for part in ('state_dict', 'ema_state_dict'):
        assert_equal(inside[part], between[part])
    name = 'decode_head.conv_seg.weight'
    assert (inside['state_dict'][name] != inside['ema_state_dict'][f'module.{name}']).any()


def test_the_drawing_at_the_end_can_be_interrupted_and_is_made_up_for(streets, tmp_path, monkeypatch):
    def slow(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError('went on')

    options = {'results': True, 'train_cfg.max_iters': 1}
    with monkeypatch.context() as patch:
        patch.setattr(results, 'draw_panel', slow)
        runner = train_tiny(streets, tmp_path, **options)
    assert (runner.iter, runner.train_loop.interrupted) == (1, True)
    assert not (tmp_path / 'panel.png').exists()
    runner = train_tiny(streets, tmp_path, resume=True, **options)
    assert not runner.train_loop.interrupted
    assert json.loads((tmp_path / 'metrics.json').read_text())['iterations'] == 1
    assert (tmp_path / 'panel.png').exists()


def test_training_works_outside_the_main_thread(streets, tmp_path):
    thread = threading.Thread(target=train_tiny, args=(streets, tmp_path), kwargs={'train_cfg.max_iters': 1})
    thread.start()
    thread.join()
    assert (tmp_path / 'iter_1.pth').is_file()


def test_the_traceback_of_any_error_is_shown_on_request(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('sys.argv', ['train.py', '--traceback', 'config'])
    status, lines = fails(lambda: train(tmp_path / 'none.py'), capsys)
    assert status == FAILED
    assert lines[0].startswith(f'error: no config {tmp_path / "none.py"}')
    assert 'Traceback (most recent call last):' in lines


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_built(streets, tmp_path, capsys):
    (tmp_path / 'file').touch()
    folder = tmp_path / 'file' / 'work'
    status, lines = fails(lambda: train_tiny(streets, folder), capsys)
    assert status == FAILED
    [line] = lines
    assert line.startswith(f'error: cannot write into the work dir {folder}: Not a directory')
    assert '--work-dir' in line


def test_ctrl_c_is_reported_as_such(capsys):
    def stopped():
        raise RuntimeError from KeyboardInterrupt()

    assert fails(stopped, capsys) == (INTERRUPTED, ['interrupted'])


def test_the_console_of_a_resume_warns_of_nothing_that_is_not_so(streets, tmp_path, capsys):
    """The run accumulates gradients, which the checkpoint holds, and computes its IoUs anew."""
    options = {'optim_wrapper.accumulative_counts': 2, 'log_level': 'INFO', 'results': True}
    train_tiny(streets, tmp_path, **options)
    capsys.readouterr()
    train_tiny(streets, tmp_path, resume=str(tmp_path / f'iter_{STOPPED}.pth'), **options)
    console = capsys.readouterr().out
    assert 'Iter(train) [4/6]' in console
    told = [line for line in console.splitlines() if 'WARNING' in line]
    assert [line for line in told if 'because the model has BatchNorm layers' not in line] == []


def test_a_dead_worker_is_found_also_where_torch_has_told_of_it_already():
    """Torch tells of each once; here it never knew the process."""
    worker = torch.multiprocessing.get_context('fork').Process(target=signal.pause)
    worker.start()
    loader = SimpleNamespace(_iterator=SimpleNamespace(_workers=[worker]))
    os.kill(worker.pid, signal.SIGKILL)
    found = killed_worker(ConnectionResetError(), loader)
    assert str(found).startswith(f'DataLoader worker (pid {worker.pid}) is killed by signal: Killed.')
    assert headline(found).startswith('a data-loading worker was killed (Killed)')
    assert killed_worker(KeyError(), loader) is None


def test_torch_may_tell_of_a_death_while_the_worker_is_looked_for(monkeypatch):
    loader = SimpleNamespace(_iterator=SimpleNamespace(_workers=[SimpleNamespace(sentinel=0)]))
    told = RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed. ')
    monkeypatch.setattr(
        'infopro_seg.training.interruptions.interrupts.wait', Mock(side_effect=[told, RuntimeError('other')])
    )
    assert killed_worker(ConnectionResetError(), loader) is told
    with pytest.raises(RuntimeError, match='other'):
        killed_worker(ConnectionResetError(), loader)
