"""Where memory runs out, a run that fits a budget goes on by its next recipe; any other says how to go on."""

import re
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from infopro_seg.checkpoints import config_of
from infopro_seg.commands import train as command
from infopro_seg.config_files import load_config
from infopro_seg.memory import trace_step
from infopro_seg.memory.quantities import GIB
from infopro_seg.training.launch import train
from infopro_seg.training.memory_budget import memory_message, within_memory
from infopro_seg.training.memory_budget.fitting import FitRequest, fit_config
from infopro_seg.training.memory_budget.memory_message import continued
from tests.runs import BATCH, CROP, DEMO, ITERS, STOPPED, load, tiny_options
from tests.stand_ins import assert_same
from tests.training.test_fitting import LADDER, plans, recipe  # noqa: F401  a fixture among them
from tests.training.test_fitting import config as small_config
from tests.training.test_loop import assert_same_run
from tests.training.test_out_of_memory import run_out

pytestmark = pytest.mark.usefixtures('plans')
COMMAND = ['tools/train.py', 'c.py', '--work-dir', 'a b', '--resume', 'x.pth', '--fit', '9GiB', '--seed', '3']


@HOOKS.register_module()
class NoteState(Hook):
    """Keeps the weights with which each run begins an iteration, and the number of optimizer states."""

    found = []

    def __init__(self, iteration):
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.iteration:
            weights = {key: value.clone() for key, value in runner.model.state_dict().items()}
            self.found.append((weights, len(runner.optim_wrapper.optimizer.state)))


@pytest.fixture
def built(monkeypatch):
    """The configs of the runners that were built."""
    found = []
    real = within_memory.build_runner

    def build(cfg):
        found.append(cfg)
        return real(cfg)

    monkeypatch.setattr(within_memory, 'build_runner', build)
    return found


def fitted(streets, folder, *hooks, budget='9GiB', **options):
    options = {**tiny_options(streets, **options), 'custom_hooks': list(hooks)}
    fit = FitRequest(budget) if budget else None
    return train(DEMO, work_dir=str(folder), options=options, fit=fit, command=COMMAND)


def shared(weights):
    return {key: value for key, value in weights.items() if '.local_heads.' not in key}


def test_a_run_goes_on_by_its_next_recipe_where_it_stands(streets, tmp_path, built):
    NoteState.found.clear()
    failing, note = run_out('backward', 3, chosen=0), {'type': 'NoteState', 'iteration': 3}
    runner = fitted(streets, tmp_path, *failing, note, **{'train_cfg.max_iters': 4, 'log_level': 'INFO'})
    assert runner.iter == 4
    assert [cfg.fit.chosen for cfg in built] == [0, 1]
    assert runner.model.backbone.cuts == LADDER[1].cuts
    (before, _), (after, states) = NoteState.found
    assert_same(shared(after), before)  # end-to-end training has no local heads
    assert len(after) > len(before)
    assert states == len(list(runner.model.parameters())) - len(
        list(runner.model.backbone.local_heads.parameters())
    )
    for config in (load_config(tmp_path / DEMO.name), config_of(load(tmp_path / 'iter_4.pth'), 'it')):
        assert config.fit.chosen == 1
        assert config.fit.recipes[1].name == 'InfoPro K=2'
        assert tuple(config.model.backbone.cuts) == LADDER[1].cuts
    going_on = 'E2E + blocks (exact gradients), predicted peak 4.00 GiB ran out of memory in the '
    log = ''.join(path.read_text() for path in sorted(tmp_path.glob('*/*.log')))
    assert going_on in log
    assert f'continuing from {tmp_path / "iter_2.pth"} with InfoPro K=2 (local gradients)' in log
    assert 'the run goes on with 2 local modules instead of 1' in log


def test_with_the_same_cuts_it_trains_as_if_nothing_had_happened(streets, tmp_path, monkeypatch, built):
    """From end-to-end training to the same with every block recomputed."""
    plain = recipe('E2E', 'exact', 5, ())
    monkeypatch.setattr('tests.training.test_fitting.LADDER', (plain, *LADDER))
    fitted(streets, tmp_path / 'whole')
    for where in ('backward', 'step'):
        built.clear()
        fitted(streets, tmp_path / where, *run_out(where, 3, chosen=0))
        assert [cfg.fit.chosen for cfg in built] == [0, 1]
        assert config_of(load(tmp_path / where / f'iter_{ITERS}.pth'), 'it').model.backbone.checkpoint is True
        assert_same_run(tmp_path / where, tmp_path / 'whole')


def test_a_run_goes_on_three_times_at_most(streets, tmp_path, built):
    with pytest.raises(torch.OutOfMemoryError) as caught:
        fitted(streets, tmp_path, *run_out('forward', 1))
    assert [cfg.fit.chosen for cfg in built] == [0, 1, 2, 3]
    assert not any(cfg.resume for cfg in built)  # nothing was saved that could be resumed
    place, used, to_go_on = caught.value.__notes__
    assert place == 'It ran out in the forward pass of iteration 1.'
    assert re.fullmatch(r'Predicted for a training step: 1\.00 GiB; taken by .*: \d\.\d\d GiB\.', used)
    rest = "python tools/train.py c.py --work-dir 'a b' --seed 3"
    assert to_go_on == f'To continue: {rest} --fit 921.60MiB'


def test_without_a_budget_the_message_says_what_was_predicted_and_how_to_go_on(streets, tmp_path, built):
    with pytest.raises(torch.OutOfMemoryError) as caught:
        fitted(streets, tmp_path, *run_out('backward', 2), budget=None)
    assert len(built) == 1
    peak = trace_step(built[0], BATCH, CROP).peak
    assert caught.value.__notes__[0] == 'It ran out in the backward pass of iteration 2.'
    assert f'training step: {peak / GIB:.2f} GiB' in caught.value.__notes__[1] or (
        f'training step: {peak / 2**20:.1f} MiB' in caught.value.__notes__[1]
    )
    assert caught.value.__notes__[2].endswith(f'--seed 3 --resume --fit {0.9 * peak / 2**20:.2f}MiB')


def test_a_validation_without_memory_is_not_mended_by_a_recipe(streets, tmp_path, built):
    options = {'results': True}
    failing = [*run_out('validation', STOPPED), {'type': 'ResultsHook'}]
    with pytest.raises(torch.OutOfMemoryError) as caught:
        fitted(streets, tmp_path, *failing, **options)
    assert len(built) == 1
    assert caught.value.__notes__[0] == f'It ran out in the validation at iteration {STOPPED}.'
    slide = 'model.test_cfg.mode=slide'
    assert f'--resume --cfg-options {slide}' in caught.value.__notes__[2]
    windows = {
        'model.test_cfg.mode': 'slide',
        'model.test_cfg.crop_size': CROP,
        'model.test_cfg.stride': (32, 64),
    }
    assert "model.test_cfg.crop_size=(48,96)' 'model.test_cfg.stride=(32,64)'" in caught.value.__notes__[2]
    options |= {**windows, 'resume': True, 'train_cfg.max_iters': ITERS}
    fitted(streets, tmp_path, {'type': 'ResultsHook'}, **options)


@pytest.mark.parametrize(('reserved', 'others', 'budget'), [(7, 3, '3.60'), (2, 8, '2.70')])
def test_on_a_gpu_the_message_says_what_was_allocated_and_reserved(monkeypatch, reserved, others, budget):
    """1 GiB is free. The command asks for nine tenths of the prediction, or of what the run may have."""
    used = {'allocated_bytes': GIB, 'reserved_bytes': reserved * GIB}
    monkeypatch.setattr(memory_message, 'peak_memory', lambda: used)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda: (GIB, 11 * GIB))
    monkeypatch.setattr(torch.cuda, 'memory_reserved', lambda: reserved * GIB)
    runner, cfg = SimpleNamespace(iter=120), fit_config(small_config(), FitRequest('9GiB'))
    place, found, to_go_on = memory_message.memory_message(cfg, runner, 'the backward pass', True, COMMAND)
    assert place == 'It ran out in the backward pass of iteration 121.'
    assert found == (
        'Predicted for a training step: 4.00 GiB; allocated at most: 1.00 GiB; reserved at most: '
        f'{reserved}.00 GiB; the GPU has 11.00 GiB, {others}.00 GiB in other use.'
    )
    assert to_go_on.endswith(f"--work-dir 'a b' --seed 3 --resume --fit {budget}GiB")


def test_the_command_that_goes_on_is_the_one_that_began(monkeypatch):
    options = ['--fit', '2GiB']
    assert continued(COMMAND, True, options) == (
        "python tools/train.py c.py --work-dir 'a b' --seed 3 --resume --fit 2GiB"
    )
    assert continued(['infopro_seg train', 'c.py'], True, options) == (
        'python -m infopro_seg train c.py --resume --fit 2GiB'
    )
    launched = ['tools/train.py', 'c.py', '--launcher', 'pytorch', '--amp']
    monkeypatch.setenv('WORLD_SIZE', '4')
    assert continued(launched, True, options) == 'the same command with --resume --fit 2GiB'
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '4')
    assert continued(launched, True, options) == 'tools/dist_train.sh c.py 4 --amp --resume --fit 2GiB'
    assert (
        continued(['tools/train.py', '--work-dir', 'w', 'c.py', '--launcher', 'pytorch'], True, options)
        == 'tools/dist_train.sh c.py 4 --work-dir w --resume --fit 2GiB'
    )
    assert continued((), False, options) == 'the same command with --fit 2GiB'
    fitted = ['tools/train.py', 'c.py', '--fit-exact-flops', '1.1', '--fit', '3GiB']
    smaller = ['--cfg-options', 'val_dataloader.batch_size=1']  # where a validation took too much
    assert continued(fitted, True, smaller) == f'python tools/train.py c.py --resume {" ".join(smaller)}'
    assert '--fit-exact-flops 1.1' in continued(fitted, True, options)
    again = 'python tools/train.py c.py --fit-exact-flops 1.1 --fit 3GiB'
    assert continued(fitted, False, smaller) == f'{again} {" ".join(smaller)}'


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        ([], None),
        (['--fit', 'auto'], FitRequest('auto')),
        (['--fit', '11GiB', '--fit-exact-flops', '1.05'], FitRequest('11GiB', 1.05)),
    ],
)
def test_the_command_line_asks_to_fit(monkeypatch, given, expected):
    asked = {}
    monkeypatch.setattr('infopro_seg.training.launch.train', lambda config, **more: asked.update(more))
    monkeypatch.setattr('infopro_seg.hooks.early_stop.is_finished', lambda runner: True)
    monkeypatch.setattr('sys.argv', ['tools/train.py', 'c.py', *given])
    assert command.main() == 0
    assert asked['fit'] == expected
    assert asked['command'] == ['tools/train.py', 'c.py', *given]
