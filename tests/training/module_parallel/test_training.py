"""Trainings of three processes with a local module each, by the runner, against one of one process."""

import itertools
import json
import os
import re
import signal

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from infopro_seg.errors import ConfigError
from infopro_seg.evaluate import evaluate
from infopro_seg.hooks import results
from infopro_seg.training.launch import train
from infopro_seg.visualization.panel import draw_panel
from tests.forks import START
from tests.runs import DEMO, ITERS, SIGTERM, STOPPED, hooks, load, tiny_options, train_tiny
from tests.training.module_parallel import held
from tests.training.test_loop import assert_equal

MODULES = 3
PARTS = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')
AVERAGE = {'type': 'EMAHook', 'momentum': 0.1}
CLIP = {'optim_wrapper.clip_grad': {'max_norm': 1.0, 'per_module': True}}
ALIKE = {'results': True, **CLIP}


@HOOKS.register_module()
class KillAt(Hook):
    """Kills a rank after an iteration."""

    def __init__(self, iteration, rank):
        self.iteration, self.rank = iteration, rank

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration and runner.rank == self.rank:
            os.kill(os.getpid(), signal.SIGKILL)


@HOOKS.register_module()
class EndInValidation(Hook):
    """Ends a validation at its second image, by a fault or by SIGTERM, in one rank."""

    def __init__(self, rank, signal=False):
        self.rank, self.signal = rank, signal

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if runner.rank == self.rank and batch_idx == 1 and runner.iter == STOPPED:
            if not self.signal:
                raise ZeroDivisionError('as a test wants it')
            os.kill(os.getpid(), signal.SIGTERM)


def all_hooks(*more):
    return hooks(AVERAGE, *more)


RESULTS = {'type': 'ResultsHook', 'rows': 1}
SCENARIOS = {  # the folder, hooks, what is resumed
    'whole': ({'custom_hooks': all_hooks(RESULTS)}, False),
    'validation stopped': (
        {'custom_hooks': all_hooks({'type': 'EndInValidation', 'rank': 1, 'signal': True})},
        False,
    ),
    'first fails': ({'custom_hooks': all_hooks({'type': 'EndInValidation', 'rank': 2})}, False),
    'last fails': ({'custom_hooks': all_hooks({'type': 'EndInValidation', 'rank': 0})}, False),
    'goes on': ({'custom_hooks': all_hooks()}, 'alone'),
    'stopped': (
        {'custom_hooks': all_hooks({'type': 'SignalHook', 'iteration': 1, 'number': SIGTERM, 'rank': 1})},
        False,
    ),
    'killed': ({'custom_hooks': all_hooks({'type': 'KillAt', 'iteration': STOPPED + 1, 'rank': 0})}, False),
}
HELD = {'whole': 2, 'goes on': 1}  # where processes note what they hold: with how many validations


def on_rank(rank, streets, folder):
    torch.set_num_threads(1)
    os.environ['LOCAL_RANK'] = str(rank)
    held.begin()
    for name in HELD:
        SCENARIOS[name][0]['custom_hooks'].append({'type': 'HeldHook', 'folder': str(folder / name)})
    for name, (options, resumed) in SCENARIOS.items():
        where = f'file://{folder}/rendezvous_{name}'
        dist.init_process_group('gloo', init_method=where, rank=rank, world_size=MODULES)
        if rank == 0:
            path = folder / name / 'error'
            path.parent.mkdir(exist_ok=True)
        resume = str(folder / resumed / f'iter_{STOPPED}.pth') if resumed else False
        try:
            train(
                DEMO,
                work_dir=str(folder / name),
                resume=resume,
                options=tiny_options(streets, **{**ALIKE, **options}),
                launcher='pytorch',
                module_parallel=True,
            )
        except Exception as error:
            notes = getattr(error, '__notes__', ())
            (folder / f'{name}_{rank}').write_text('\n'.join([repr(error), *notes]))
        dist.destroy_process_group()


@pytest.fixture(scope='module')
def folder(streets, tmp_path_factory):
    """What the processes leave, and in `alone` what one process does; with the panel."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, 'draw_panel', draw_panel)
        return trained(streets, tmp_path_factory.mktemp('module_parallel'))


def trained(streets, folder):
    options = {**ALIKE, 'custom_hooks': all_hooks(RESULTS), 'train_cfg.seed_per_module': True}
    train_tiny(streets, folder / 'alone', **options)
    context = mp.get_context(START)
    processes = [context.Process(target=on_rank, args=(rank, streets, folder)) for rank in range(MODULES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    return folder


def assert_same_checkpoint(folder, other, name=f'iter_{ITERS}.pth'):
    actual, expected = load(folder / name), load(other / name)
    assert actual.keys() == expected.keys()
    assert list(actual['state_dict']) == list(expected['state_dict'])
    for part in PARTS:
        assert_equal(actual[part], expected[part])


@pytest.mark.parametrize('name', [f'iter_{STOPPED}.pth', f'iter_{ITERS}.pth'])
def test_the_checkpoints_are_those_of_one_process(folder, name):
    assert_same_checkpoint(folder / 'whole', folder / 'alone', name)


def test_the_results_are_those_of_one_process(folder):
    actual, expected = (
        json.loads((folder / name / 'metrics.json').read_text()) for name in ('whole', 'alone')
    )
    for key in ('mIoU', 'IoU', 'percent', 'validations', 'iterations', 'seed'):
        assert actual[key] == expected[key]
    logs = [
        load(folder / name / f'iter_{ITERS}.pth')['message_hub']['log_scalars'] for name in ('whole', 'alone')
    ]
    losses = [{key: list(log[key].data[0]) for key in log if 'loss' in key} for log in logs]
    assert losses[0] == losses[1]
    assert any('local_1' in key for key in losses[0])
    panels = [(folder / name / 'panel.png').read_bytes() for name in ('whole', 'alone')]
    assert panels[0] == panels[1] != b''  # with what each module's decoder reconstructs


def test_one_process_evaluates_what_they_have_trained(folder):
    [config] = (folder / 'whole').glob('*.py')
    trained = json.loads((folder / 'whole' / 'metrics.json').read_text())
    assert evaluate(config, folder / 'whole' / f'iter_{ITERS}.pth')['mIoU'] == pytest.approx(trained['mIoU'])


def test_the_processes_go_on_for_one(folder):
    assert_same_checkpoint(folder / 'goes on', folder / 'alone')


def test_one_goes_on_for_the_processes(streets, folder, tmp_path):
    resume = str(folder / 'whole' / f'iter_{STOPPED}.pth')
    train_tiny(streets, tmp_path, resume=resume, **{**ALIKE, 'custom_hooks': all_hooks()})
    assert_same_checkpoint(tmp_path, folder / 'alone')


def test_a_signal_to_one_of_them_saves_what_all_have_reached(streets, folder, tmp_path):
    saved = sorted((folder / 'stopped').glob('iter_*.pth'), key=lambda path: path.stat().st_mtime)[-1]
    assert 1 <= load(saved)['meta']['iter'] <= STOPPED  # the first module's process is up to two ahead
    train_tiny(streets, tmp_path, resume=str(saved), **{**ALIKE, 'custom_hooks': all_hooks()})
    assert_same_checkpoint(tmp_path, folder / 'alone')


@pytest.mark.parametrize('name', ['validation stopped', 'first fails', 'last fails'])
def test_whoever_ends_a_validation_all_save_together(folder, name):
    assert_same_checkpoint(folder / name, folder / 'alone', f'iter_{STOPPED}.pth')
    assert not (folder / name / f'iter_{ITERS}.pth').exists()
    failing = {'first fails': 2, 'last fails': 0}.get(name)
    for rank in range(MODULES):
        text = (folder / f'{name}_{rank}').read_text() if failing is not None else ''
        assert (folder / f'{name}_{rank}').exists() == (failing is not None)
        if failing == rank:
            assert text.startswith("ZeroDivisionError('as a test wants it')")
        elif failing is not None:
            assert text.startswith('RankError')
            assert f'rank {failing} ended the training: ' in text
        assert 'not saved' not in text


@pytest.mark.parametrize('rank', range(MODULES))
@pytest.mark.parametrize(('name', 'validations'), HELD.items())
def test_no_process_ever_holds_parameters_of_another(folder, name, validations, rank):
    found = json.loads((folder / name / f'held_{rank}.json').read_text())
    assert len(found['validation']) == validations
    for result in itertools.chain(*found.values()):
        assert result['own'] > 0
        assert result['other parameters'] == []
        assert result['foreign shapes'] > 3
        assert result['of a foreign shape'] == []
    assert found.keys() == {'training', 'validation', 'the end'}


def test_a_killed_process_ends_the_others_which_name_it(folder):
    for rank in (1, 2):
        text = (folder / f'killed_{rank}').read_text()
        # whichever finds it first: the neighbour by its connection, or a rank by what the others have told
        assert re.search('rank 0(, which trains local module 2,)? has ended without a message', text)
        assert 'are not saved' in text
    assert_same_checkpoint(folder / 'killed', folder / 'alone', f'iter_{STOPPED}.pth')


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'model.backbone.overlap': 1}, 'overlap=1 lets a local head read blocks of the next module'),
        ({'model.backbone.momentum_block': 0.9}, 'momentum_block=0.9 lets a local head read'),
        ({'optim_wrapper.clip_grad': {'max_norm': 1.0}}, 'add per_module=True'),
        ({'stages': [{}, {}, {}], **CLIP}, 'the config has stages'),
        (
            CLIP,
            '1 process cannot train 3 local modules in parallel: each module needs the same number. '
            'Start 3 or 6',
        ),
        (
            {'model_wrapper_cfg': {'type': 'MMDistributedDataParallel'}, **CLIP},
            "model_wrapper_cfg={'type': 'MMDistributedDataParallel'} of the config has no effect",
        ),
        (
            {'model_wrapper_cfg.gradient_as_bucket_view': True, **CLIP},
            "'gradient_as_bucket_view': True} of the config has no effect in module-parallel training",
        ),
        ({'find_unused_parameters': True, **CLIP}, 'find_unused_parameters=True has no effect'),
        ({'sync_bn': 'mmcv', **CLIP}, "write sync_bn='torch', or leave it out"),
        ({'model.backbone.cuts': (), 'model.backbone.local_head': None, **CLIP}, 'no cuts (K = 1'),
    ],
)
def test_what_needs_other_modules_is_refused(streets, tmp_path, options, words):
    options = tiny_options(streets, **options)
    with pytest.raises(ConfigError) as error:
        train(DEMO, work_dir=str(tmp_path), options=options, module_parallel=True)
    assert words in str(error.value)
