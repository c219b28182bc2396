"""Memory that runs out costs at most the iteration in which it does, wherever it does."""

import sys
import weakref
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from infopro_seg.training.interruptions.out_of_memory import let_go, phase_of, ran_out_of_memory
from infopro_seg.training.interruptions.rollback import Rollback, UntouchedStep
from tests.runs import ITERS, STOPPED, hooks, load, train_tiny
from tests.training.test_loop import assert_same_run

CUDA = 'CUDA out of memory. Tried to allocate 2.00 GiB.'
CPU = "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried"
FULL = {'gpu': lambda: torch.OutOfMemoryError(CUDA), 'cpu': lambda: RuntimeError(CPU)}


@HOOKS.register_module()
class RunOut(Hook):
    """Raises in an iteration as torch does where memory is short, and watches what is freed by then."""

    def __init__(self, iteration, where, kind='gpu', chosen=None):
        self.iteration, self.where, self.kind, self.chosen = iteration, where, kind, chosen
        self.due, self.held = False, []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        chosen = runner.cfg.get('fit', {}).get('chosen')
        self.due = runner.iter + 1 == self.iteration and self.chosen in (None, chosen)
        if not self.due:
            return
        model, optimizer = runner.model, runner.optim_wrapper.optimizer
        model.decode_head.register_forward_pre_hook(self.in_forward)
        if self.where in ('step', 'changed'):
            optimizer.register_step_pre_hook(lambda *_: self.fail('step'))
            optimizer.register_step_post_hook(lambda *_: self.fail('changed'))

    def in_forward(self, head, inputs):
        [features] = inputs
        self.held.append(weakref.ref(features[-1]))
        features[-1].register_hook(lambda _: self.fail('backward'))
        self.fail('forward')

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        if self.where == 'validation' and runner.iter == self.iteration:
            runner.model.backbone.encoder.register_forward_pre_hook(lambda *_: self.fail('validation'))

    def fail(self, where):
        if where == self.where:
            raise FULL[self.kind]()

    def before_save_checkpoint(self, runner, checkpoint):
        if self.due:
            assert [held() for held in self.held] == [None] * len(self.held), 'the failed step is held'


def run_out(where, iteration=STOPPED + 2, **more):
    return hooks({'type': 'RunOut', 'iteration': iteration, 'where': where, **more})


@pytest.mark.parametrize(
    ('where', 'kind', 'reached'),
    [
        ('forward', 'gpu', STOPPED + 1),
        ('forward', 'cpu', STOPPED + 1),
        ('backward', 'gpu', STOPPED + 1),
        ('step', 'gpu', STOPPED + 1),
        ('changed', 'gpu', STOPPED),  # its newest checkpoint: a step that has begun cannot be undone
    ],
)
def test_a_step_without_memory_is_undone_and_resumed_exactly(
    streets, trained, tmp_path, where, kind, reached
):
    with pytest.raises(RuntimeError, match='memory') as caught:
        train_tiny(streets, tmp_path, custom_hooks=run_out(where, kind=kind))
    phase = {'forward': 'forward pass', 'backward': 'backward pass'}.get(where, 'optimizer step')
    assert f'in the {phase} of iteration {STOPPED + 2}' in ''.join(caught.value.__notes__)
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / f'iter_{reached}.pth')
    assert load(tmp_path / f'iter_{reached}.pth')['meta']['iter'] == reached
    train_tiny(streets, tmp_path, resume=True)
    assert_same_run(tmp_path, trained)


def test_a_validation_without_memory_comes_first_in_the_resumed_run(streets, trained, tmp_path):
    options = {'results': True}
    failing = [*run_out('validation', STOPPED), {'type': 'ResultsHook'}]
    with pytest.raises(torch.OutOfMemoryError) as caught:
        train_tiny(streets, tmp_path, **options, custom_hooks=failing)
    assert caught.value.__notes__[0] == f'It ran out in the validation at iteration {STOPPED}.'
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / f'iter_{STOPPED}.pth')
    train_tiny(streets, tmp_path, resume=True, **options)
    assert_same_run(tmp_path, trained)
    found, expected = (
        load(folder / f'iter_{ITERS}.pth')['message_hub']['runtime_info'] for folder in (tmp_path, trained)
    )
    assert found['best_score'] == expected['best_score']


def test_gradients_that_wait_for_a_step_that_finds_no_memory_are_kept(streets, tmp_path):
    accumulate = {'optim_wrapper.accumulative_counts': 2}
    train_tiny(streets, tmp_path / 'whole', **accumulate)
    with pytest.raises(torch.OutOfMemoryError):
        train_tiny(streets, tmp_path / 'parts', custom_hooks=run_out('step', 4), **accumulate)
    assert 'gradients' in load(tmp_path / 'parts' / 'iter_3.pth')
    train_tiny(streets, tmp_path / 'parts', resume=True, **accumulate)
    assert_same_run(tmp_path / 'parts', tmp_path / 'whole')


def optimizer(kind, **options):
    torch.manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(3)) for _ in range(2)]
    made = kind(parameters, lr=0.1, **options)
    for parameter in parameters:
        parameter.grad = torch.randn(3)
    return made, parameters


KINDS = [
    (torch.optim.SGD, {'momentum': 0.9, 'weight_decay': 0.1, 'foreach': True}),
    (torch.optim.SGD, {'momentum': 0.9, 'foreach': False}),
    (torch.optim.AdamW, {'foreach': True}),
]


@pytest.mark.parametrize('begun', [False, True])
@pytest.mark.parametrize(('kind', 'options'), KINDS)
def test_every_change_by_a_step_is_seen(kind, options, begun):
    made, parameters = optimizer(kind, **options)
    if begun:
        made.step()
    step = UntouchedStep(made)
    assert step.restore()
    made.step()
    values = [parameter.detach().clone() for parameter in parameters]
    assert not step.restore()
    assert all(torch.equal(one, other) for one, other in zip(parameters, values, strict=True))
    assert len(made.state) == 2


def test_the_state_that_a_step_has_only_begun_to_make_is_taken_back(monkeypatch):
    def full(*args, **kwargs):
        raise torch.OutOfMemoryError(CUDA)

    made, _ = optimizer(torch.optim.AdamW, foreach=True)
    step = UntouchedStep(made)
    # what `_init_group` has made room for is there by then
    monkeypatch.setattr(sys.modules['torch.optim.adam'], '_multi_tensor_adam', full)
    with pytest.raises(torch.OutOfMemoryError):
        made.step()
    assert len(made.state) == 2
    assert step.restore()
    assert len(made.state) == 0


class Foreign(torch.optim.SGD):
    """Of another package: it may write past the versions of tensors, by `.data`."""


@pytest.mark.parametrize(
    ('kind', 'compiled', 'fused', 'undone'),
    [
        (torch.optim.SGD, False, False, True),
        (torch.optim.SGD, True, False, False),
        (torch.optim.SGD, False, True, False),
        (Foreign, False, False, False),
    ],
)
def test_only_steps_whose_changes_can_be_seen_are_undone(kind, compiled, fused, undone):
    made, _ = optimizer(kind, fused=fused)
    wrapper = SimpleNamespace(optimizer=made)
    runner = SimpleNamespace(optim_wrapper=wrapper, model=torch.nn.Linear(1, 1), cfg={'compile': compiled})
    rollback = Rollback(runner)

    def fail(*_):
        raise torch.OutOfMemoryError(CUDA)

    def step():
        with rollback:  # which watches the optimizer first
            made.register_step_pre_hook(fail)
            made.step()

    with pytest.raises(torch.OutOfMemoryError):
        step()
    assert rollback.undone is undone


@pytest.mark.parametrize(
    ('error', 'expected'),
    [
        (torch.OutOfMemoryError(CUDA), True),
        (RuntimeError(CPU), True),
        (RuntimeError('CUDA error: out of memory'), True),
        (RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`'), True),
        (RuntimeError(f'Caught RuntimeError in DataLoader worker process 0.\n{CPU}'), False),
        (torch.OutOfMemoryError('Caught OutOfMemoryError in pin memory thread for device 0.'), False),
        (MemoryError('Unable to allocate 2 GiB for an array'), False),
        (OSError(12, 'Cannot allocate memory'), False),
        (RuntimeError('shapes differ'), False),
    ],
)
def test_only_the_memory_of_tensors_counts(error, expected):
    assert ran_out_of_memory(error) is expected


def within(held):
    features = torch.ones(4)

    def inner():
        """As in torch's modules: its frame holds the variables of the call around it."""
        held.append(weakref.ref(features))
        raise ValueError

    inner()


def failed():
    held = []
    try:
        try:
            within(held)
        except ValueError as cause:
            raise torch.OutOfMemoryError(CUDA) from cause
    except torch.OutOfMemoryError as error:
        return error, held[0]


def test_what_an_error_holds_is_freed():
    error, held = failed()
    assert held() is not None
    assert phase_of(error) == 'a hook'
    let_go(error)
    assert held() is None
    assert error.__traceback__.tb_next is None
