"""Processes that end at once, as programs do, with messages under way to one that lags behind."""

import os
import time

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from infopro_seg.training.launch import train
from tests.forks import START
from tests.runs import DEMO, SIGTERM, hooks, load, tiny_options

MODULES = 3
CLIP = {'optim_wrapper.clip_grad': {'max_norm': 1.0, 'per_module': True}}
FAILING = 'one that fails before a validation'
SCENARIOS = {
    'a signal': [{'type': 'LagHook'}, {'type': 'SignalHook', 'iteration': 4, 'number': SIGTERM, 'rank': 2}],
    FAILING: [{'type': 'FailHook'}],
}


@HOOKS.register_module()
class LagHook(Hook):
    """Lets the last module's process lag behind."""

    priority = 'VERY_HIGH'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.rank == 0:
            time.sleep(0.3)


@HOOKS.register_module()
class FailHook(Hook):
    """Fails in the first module's process, between its last iteration and the validation."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.rank == 2 and runner.iter + 1 == runner.max_iters:
            raise ZeroDivisionError('as a test wants it')


def on_rank(rank, name, streets, folder):
    torch.set_num_threads(1)
    os.environ['LOCAL_RANK'] = str(rank)
    dist.init_process_group('gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=MODULES)
    options = tiny_options(streets, custom_hooks=hooks(*SCENARIOS[name]), **CLIP)
    try:
        train(DEMO, str(folder / 'run'), options=options, launcher='pytorch', module_parallel=True)
    except Exception as error:
        (folder / f'error_{rank}').write_text(repr(error))
    os._exit(0)


@pytest.fixture(params=SCENARIOS)
def ended(request, streets, tmp_path):
    """What the processes leave, all of which have ended."""
    context = mp.get_context(START)
    arguments = (request.param, streets, tmp_path)
    processes = [context.Process(target=on_rank, args=(rank, *arguments)) for rank in range(MODULES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(90)
    hanging = [process for process in processes if process.is_alive()]
    for process in hanging:
        process.kill()
    assert not hanging
    return request.param, tmp_path


def test_nobody_waits_and_what_a_signal_ends_is_saved(ended):
    name, folder = ended
    errors = {rank: folder / f'error_{rank}' for rank in range(MODULES)}
    texts = {rank: path.read_text() for rank, path in errors.items() if path.exists()}
    if name == FAILING:
        assert texts.pop(2) == "ZeroDivisionError('as a test wants it')"
        assert all('rank 2 ended the training: ' in text for text in texts.values())
        assert len(texts) == MODULES - 1
    else:
        assert texts == {}
        saved = max((folder / 'run').glob('iter_*.pth'))
        assert load(saved)['meta']['iter'] == 4
