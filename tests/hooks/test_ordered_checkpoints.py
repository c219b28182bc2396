"""A run is killed at every moment at which it touches a file: the real hooks, with a made-up runner."""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.logging import MMLogger

from infopro_seg import files
from infopro_seg.hooks import ordered_checkpoints
from infopro_seg.hooks.due_validation import DueValidationHook
from infopro_seg.hooks.ordered_checkpoints import OrderedCheckpointHook, in_order, save_unfinished

ITERS, INTERVAL = 8, 2
SCORES = {2: 0.1, 4: 0.3, 6: 0.2, 8: 0.4}


class KilledError(Exception):
    pass


class OwnHook(CheckpointHook):
    """A user's own class, which knows nothing of ours."""

    def _save_checkpoint_with_step(self, runner, step, meta):
        runner.seen.append(step)
        super()._save_checkpoint_with_step(runner, step, meta)


class Hub:
    def __init__(self):
        self.runtime_info = {}

    def update_info(self, key, value):
        self.runtime_info[key] = value

    def get_info(self, key):
        return self.runtime_info.get(key)


class Run:
    """What the hooks see of a runner; its checkpoints are JSON."""

    max_iters = ITERS
    epoch = 0

    def __init__(self, folder, keep=1, tick=lambda: None, cls=CheckpointHook, resume=None, **more):
        self.work_dir, self.tick, self.logger = str(folder), tick, MMLogger.get_current_instance()
        self.iter, self.seen, self.validations, self.message_hub = 0, [], [], Hub()
        self.model = SimpleNamespace(named_parameters=lambda: iter(()))
        self.hook = cls(INTERVAL, by_epoch=False, max_keep_ckpts=keep, save_best='mIoU', **more)
        in_order(self.hook)
        self.hooks = [self.hook]
        self.due = DueValidationHook()
        self.val_loop = SimpleNamespace(run=self.validate)
        self._resume, self._load_from = resume is not None, resume and str(resume)
        if resume:
            content = json.loads(Path(resume).read_text())
            self.iter, self.message_hub.runtime_info = content['iter'], content['hub']
            self.hook.after_load_checkpoint(self, content)

    @property
    def train_loop(self):
        return SimpleNamespace(
            _decide_current_val_interval=lambda: None,
            _iter=self.iter,
            _max_iters=ITERS,
            val_begin=1,
            val_interval=INTERVAL,
        )

    def save_checkpoint(self, out_dir, filename, *args, meta, **kwargs):
        content = {'iter': meta['iter'], 'hub': dict(self.message_hub.runtime_info)}
        self.hook.before_save_checkpoint(self, content)
        self.tick()
        (Path(out_dir) / filename).write_text(json.dumps(content))
        self.tick()

    def validate(self):
        self.tick()
        self.validations.append(self.iter)
        self.due.after_val_epoch(self)
        self.hook.after_val_epoch(self, {'mIoU': SCORES[self.iter]})

    def train(self):
        self.hook.before_train(self)
        self.due.before_train_epoch(self)
        while self.iter < ITERS:
            self.hook.after_train_iter(self, self.iter)
            self.iter += 1
            if self.iter % INTERVAL == 0:
                self.validate()
        return self


def names(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def noted(folder):
    note = Path(folder) / 'last_checkpoint'
    return Path(note.read_text()) if note.is_file() else None


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
