"""A run is killed at every moment at which it touches a file: the real hooks, with a made-up runner."""

import itertools
import json
from types import SimpleNamespace

import pytest
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook

from infopro_seg import files
from infopro_seg.hooks import ordered_checkpoints
from infopro_seg.hooks.ordered_checkpoints import OrderedCheckpointHook, save_unfinished
from tests.hooks.made_runs import INTERVAL, ITERS, KilledError, OwnHook, Run, names, noted


@pytest.fixture
def killer(monkeypatch):
    """A counter of the moments at which a run touches a file, which kills it at one of them."""
    count = SimpleNamespace(left=None)

    def tick():
        if count.left is not None:
            count.left -= 1
            if count.left < 0:
                raise KilledError

    def between_ticks(function):
        def act(*args):
            tick()
            function(*args)
            tick()

        return act

    monkeypatch.setattr(files, '_flush', lambda path: None)  # to the disk, which takes its time
    monkeypatch.setattr(ordered_checkpoints, 'write_text', between_ticks(ordered_checkpoints.write_text))
    monkeypatch.setattr(LocalBackend, 'remove', between_ticks(LocalBackend.remove))
    count.tick = tick
    return count


@pytest.mark.parametrize('cls', [CheckpointHook, OwnHook])
@pytest.mark.parametrize('keep', [1, 2])
def test_a_kill_at_any_moment_costs_nothing(tmp_path, killer, keep, cls):
    whole = tmp_path / 'whole'
    whole.mkdir()
    undisturbed = Run(whole, keep, cls=cls).train()
    kept = [f'iter_{ITERS - INTERVAL * back}.pth' for back in range(keep)]
    assert names(whole) == sorted([*kept, 'best_mIoU_iter_8.pth', 'last_checkpoint'])
    for moment in itertools.count():
        folder = tmp_path / f'killed_{moment}'
        folder.mkdir()
        killer.left = moment
        killed = Run(folder, keep, killer.tick, cls)
        try:
            killed.train()
        except KilledError:
            pass
        else:
            break
        killer.left = None
        latest = noted(folder)
        assert latest is None or latest.is_file()
        assert any(folder.glob('best_*')) or not killed.validations[:-1]
        resumed = Run(folder, keep, cls=cls, resume=latest).train()
        assert names(folder) == names(whole)
        assert {*killed.validations, *resumed.validations} == {*undisturbed.validations}
        for name in ('best_mIoU_iter_8.pth', 'iter_8.pth'):
            assert json.loads((folder / name).read_text())['iter'] == ITERS
    assert moment > 30


def test_a_finished_validation_is_not_repeated(tmp_path):
    Run(tmp_path, -1).train()
    assert Run(tmp_path, -1, resume=tmp_path / 'iter_4.pth').train().validations == [
        6,
        8,
    ]  # saved again
    assert Run(tmp_path, -1, resume=tmp_path / 'iter_6.pth').train().validations == [6, 8]  # not noted in it


def test_a_user_s_own_hook_keeps_what_it_overrides(tmp_path):
    run = Run(tmp_path, cls=OwnHook).train()
    assert isinstance(run.hook, OrderedCheckpointHook)
    assert isinstance(run.hook, OwnHook)
    assert run.seen == [2, 2, 4, 4, 6, 8, 8]


@pytest.mark.parametrize('cls', [CheckpointHook, OwnHook])
def test_messages_name_the_hook_as_the_config_does(tmp_path, cls):
    assert type(Run(tmp_path, cls=cls).hook).__name__ == cls.__name__


def test_the_copy_of_a_run_leaves_the_files_of_the_original_alone(tmp_path):
    original, copy = tmp_path / 'original', tmp_path / 'copy'
    for folder in (original, copy):
        folder.mkdir()
    Run(original, 3).train()
    (original / 'best_mIoU_iter_8.pth').rename(original / 'best_mIoU_iter_4.pth')  # as it was at iteration 4
    before = names(original)
    for name in ('iter_4.pth', 'best_mIoU_iter_4.pth'):
        (copy / name).write_bytes((original / name).read_bytes())
    Run(copy, 1, resume=copy / 'iter_4.pth').train()
    assert names(original) == before
    assert names(copy) == ['best_mIoU_iter_8.pth', 'iter_8.pth', 'last_checkpoint']


def test_a_checkpoint_of_another_folder_makes_nothing_outdated_here(tmp_path):
    other, here = tmp_path / 'other', tmp_path / 'here'
    for folder in (other, here):
        folder.mkdir()
    Run(other, 1).train()
    content = json.loads((other / 'iter_8.pth').read_text())
    assert content['outdated_checkpoints'] == ['best_mIoU_iter_4.pth']
    (here / 'best_mIoU_iter_4.pth').touch()  # of another run
    Run(here, 1, resume=other / 'iter_8.pth').train()
    assert (here / 'best_mIoU_iter_4.pth').is_file()


@pytest.mark.parametrize(
    ('before', 'now', 'best'),
    [
        ('mAcc', 'mIoU', ['best_mAcc_iter_2.pth', 'best_mIoU_iter_8.pth']),
        ('mIoU', 'mAcc', ['best_mAcc_iter_6.pth', 'best_mIoU_iter_4.pth']),
        ('mIoU', 'auto', ['best_mIoU_iter_8.pth']),
        ('mAcc', 'auto', ['best_mAcc_iter_2.pth', 'best_mIoU_iter_8.pth']),
        ('mAcc', ['mAcc', 'mIoU'], ['best_mAcc_iter_2.pth', 'best_mIoU_iter_8.pth']),
        (['mAcc', 'mIoU'], 'mAcc', ['best_mAcc_iter_2.pth', 'best_mIoU_iter_4.pth']),
        (['mAcc', 'mIoU'], ['mIoU', 'mAcc'], ['best_mAcc_iter_2.pth', 'best_mIoU_iter_8.pth']),
        (
            'accuracy/top5',
            ['accuracy/top1', 'accuracy/top5'],
            ['best_accuracy_top1_iter_6.pth', 'best_accuracy_top5_iter_8.pth'],
        ),
    ],
)
def test_the_best_by_another_metric_is_no_measure_after_a_resume(tmp_path, before, now, best):
    stopped = Run(tmp_path, 2, save_best=before, rule='greater').train(until=5)
    latest = save_unfinished(stopped)
    Run(tmp_path, 2, save_best=now, rule='greater', resume=latest).train()
    assert [name for name in names(tmp_path) if name.startswith('best')] == best


def test_a_hook_for_the_best_alone_saves_and_removes_no_others_after_a_resume(tmp_path):
    latest = save_unfinished(Run(tmp_path, -1).train(until=3))
    resumed = Run(tmp_path, 1, resume=latest)
    resumed.hook.interval, resumed.hook.save_last = -1, False
    resumed.train()
    kept = ['best_mIoU_iter_8.pth', 'iter_2.pth', 'iter_3.pth', 'last_checkpoint']
    assert names(tmp_path) == kept


@pytest.mark.parametrize('again', ['mIoU', ['mIoU', 'mAcc']])
@pytest.mark.parametrize('save_best', ['mIoU', ['mIoU', 'mAcc']])
def test_the_best_is_known_after_a_second_resume(tmp_path, save_best, again):
    latest = save_unfinished(Run(tmp_path, 2, save_best=save_best, rule='greater').train(until=5))
    resumed = Run(tmp_path, 2, save_best=again, rule='greater', resume=latest)
    resumed.hook.before_train(resumed)
    Run(tmp_path, 2, save_best='mIoU', rule='greater', resume=save_unfinished(resumed)).train(until=7)
    assert 'best_mIoU_iter_4.pth' in names(tmp_path)
    assert 'best_mIoU_iter_6.pth' not in names(tmp_path)  # whose 0.2 is less than 0.3


def test_an_interrupted_run_is_saved_like_the_others_and_rotated_out(tmp_path):
    run = Run(tmp_path, 1)
    run.hook.before_train(run)
    assert save_unfinished(run) is None
    run.iter = 3
    assert save_unfinished(run) == str(tmp_path / 'iter_3.pth')
    assert noted(tmp_path) == tmp_path / 'iter_3.pth'
    Run(tmp_path, 1, resume=tmp_path / 'iter_3.pth').train()
    assert names(tmp_path) == ['best_mIoU_iter_8.pth', 'iter_8.pth', 'last_checkpoint']


def test_an_interrupted_run_is_saved_beside_the_checkpoints_of_its_epochs(tmp_path):
    run = Run(tmp_path / 'run', out_dir=str(tmp_path / 'big'))
    run.hook.by_epoch = True
    run.hook.before_train(run)
    run.iter = 3
    (tmp_path / 'run').mkdir()
    (tmp_path / 'big' / 'run').mkdir(parents=True)
    assert save_unfinished(run) == str(tmp_path / 'big' / 'run' / 'iter_3.pth')


def test_the_best_checkpoint_stays_where_a_better_one_cannot_be_saved(tmp_path):
    run = Run(tmp_path, 1)
    save = run.save_checkpoint

    def fail_once(out_dir, filename, *args, **kwargs):
        if filename == 'best_mIoU_iter_4.pth':
            raise OSError('no room')
        save(out_dir, filename, *args, **kwargs)

    run.save_checkpoint = fail_once
    with pytest.raises(OSError, match='no room'):
        run.train()
    save_unfinished(run)
    assert names(tmp_path) == ['best_mIoU_iter_2.pth', 'iter_4.pth', 'last_checkpoint']


def test_gradients_are_averaged_by_all_ranks_before_every_save(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(ordered_checkpoints, 'average_gradients', lambda runner: calls.append(runner.iter))
    monkeypatch.setattr(ordered_checkpoints, 'is_main_process', lambda: False)
    Run(tmp_path).train()
    assert calls == [1, 2, 3, 4, 5, 7, 8]  # before the count rises, and after a better validation
