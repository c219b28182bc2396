"""A rank that ends, in whatever way, ends the others too, with a message that names it."""

import multiprocessing
import os
import signal
import sys
import warnings

import pytest
import torch.distributed as dist
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from infopro_seg.cli import FAILED, FAULT, INTERRUPTED, run
from infopro_seg.training.launch import train
from tests.forks import START
from tests.runs import DEMO, STOPPED, hooks, load, tiny_options
from tests.stand_ins import assert_same

RANKS = 2
IN_TIME = 120  # seconds; a gloo group of its own would wait for half an hour


@HOOKS.register_module()
class EndRank(Hook):
    """Ends rank 1 at a moment of the third iteration, of the validation after it, or of the final test."""

    def __init__(self, moment, how='raise'):
        self.moment, self.how = moment, how

    def end(self, *_):
        if self.how == 'raise':
            raise LookupError('a fault of one')
        os.kill(os.getpid(), {'kill': signal.SIGKILL, 'signal': signal.SIGINT}[self.how])

    def ends(self, runner, moment):
        return get_rank() == 1 and runner.iter + 1 == STOPPED and moment == self.moment

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if self.ends(runner, 'forward'):
            runner.model.module.decode_head.register_forward_pre_hook(self.end)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if self.ends(runner, 'after'):
            self.end()

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if self.moment == 'validation' and get_rank() == 1 and batch_idx == 0:
            self.end()

    def before_test_iter(self, runner, batch_idx, data_batch=None):
        if self.moment == 'test' and get_rank() == 1 and batch_idx == 0:
            self.end()


def on_rank(rank, streets, folder, ends, more):
    """What one process does: a training that ends as its hooks say, with the output in a file."""
    os.environ['LOCAL_RANK'] = str(rank)
    warnings.simplefilter('ignore')  # where the process is no copy of the test's
    dist.init_process_group('gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=RANKS)

    def main():
        options = tiny_options(streets, results=True, **{'custom_hooks': hooks(*ends), **more})
        runner = train(DEMO, work_dir=str(folder / 'work'), options=options, launcher='pytorch')
        return INTERRUPTED if runner.train_loop.interrupted else 0

    with open(folder / f'output_{rank}', 'w') as sys.stderr:
        run(main)


def end_rank(streets, folder, end, *others, **more):
    """The exit statuses of two ranks, and what each said."""
    context = multiprocessing.get_context(START)
    arguments = (streets, folder, [{'type': 'EndRank', **end}, *others], more)
    processes = [context.Process(target=on_rank, args=(rank, *arguments)) for rank in range(RANKS)]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(IN_TIME)
        return [p.exitcode for p in processes], [(folder / f'output_{r}').read_text() for r in range(RANKS)]
    finally:
        for process in processes:
            process.kill()


@pytest.mark.parametrize(('moment', 'saved'), [('forward', 2), ('validation', 3)])
def test_a_fault_on_one_rank_ends_the_other_with_its_cause(streets, tmp_path, moment, saved):
    """The other waits for gradients in the first case, and validates in the second."""
    status, said = end_rank(streets, tmp_path, {'moment': moment})
    assert status == [FAILED, FAULT]
    first = said[1].splitlines()[0]
    assert first.startswith(f'error: LookupError: a fault of one ({__file__}, line ')
    assert said[0] == f'error: rank 1 ended the training: {first.removeprefix("error: ")}\n'
    assert (tmp_path / 'work' / 'last_checkpoint').read_text() == str(tmp_path / 'work' / f'iter_{saved}.pth')
    assert load(tmp_path / 'work' / f'iter_{saved}.pth')['meta']['iter'] == saved


def test_a_fault_in_the_test_at_the_end_leaves_no_rank_waiting(streets, tmp_path):
    test = {
        'train_cfg.max_iters': 1,
        'custom_hooks': hooks(
            {'type': 'EndRank', 'moment': 'test'}, {'type': 'ResultsHook', 'split': 'test'}
        ),
    }
    status, said = end_rank(streets, tmp_path, {'moment': 'test'}, **test)
    assert status == [FAILED, FAULT]
    assert said[0].startswith('error: rank 1 ended the training: LookupError: a fault of one (')
    assert load(tmp_path / 'work' / 'iter_1.pth')['meta']['iter'] == 1


def test_a_killed_rank_is_named_by_the_other(streets, tmp_path):
    status, said = end_rank(streets, tmp_path, {'moment': 'forward', 'how': 'kill'})
    assert status == [FAILED, -signal.SIGKILL]
    assert said[0].startswith('error: rank 1 has ended without a message: killed')
    assert said[0].count('\n') == 1
    assert (tmp_path / 'work' / 'last_checkpoint').read_text() == str(tmp_path / 'work' / 'iter_2.pth')


def test_a_signal_to_one_rank_ends_the_validation_of_both(streets, tmp_path):
    status, said = end_rank(streets, tmp_path, {'moment': 'validation', 'how': 'signal'})
    assert status == [INTERRUPTED] * RANKS
    assert said == ['', '']
    assert [path.name for path in (tmp_path / 'work').glob('*.pth')] == [f'iter_{STOPPED}.pth']


ACCUMULATED = {
    'optim_wrapper.accumulative_counts': 4,
    'train_cfg.val_interval': 100,
    'default_hooks.checkpoint.interval': 100,
}


def test_gradients_that_wait_are_averaged_where_both_ranks_end_between_steps(streets, tmp_path):
    noted = {'type': 'NoteGradients', 'iteration': STOPPED}
    status, said = end_rank(streets, tmp_path, {'moment': 'after'}, noted, **ACCUMULATED)
    assert status == [FAILED, FAULT]
    assert said[0].startswith('error: rank 1 ended the training: LookupError: a fault of one (')
    work = tmp_path / 'work'
    one, other = (load(work / f'gradients_{rank}') for rank in range(RANKS))
    assert any((one[name] != other[name]).any() for name in one)
    expected = {name: (one[name] + other[name]) / 2 for name in one}
    assert_same(load(work / f'iter_{STOPPED}.pth')['gradients'], expected)


def test_gradients_of_a_rank_that_is_gone_are_not_made_up(streets, tmp_path):
    """Rank 1 ends within an iteration, while its gradients of those before wait for their step."""
    status, said = end_rank(streets, tmp_path, {'moment': 'forward'}, **ACCUMULATED)
    assert status == [FAILED, FAULT]
    assert 'iterations so far are not saved: accumulated gradients of lost ranks' in said[0]
    assert not list((tmp_path / 'work').glob('*.pth'))
