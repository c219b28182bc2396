import math
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.optim import AmpOptimWrapper, OptimWrapper

from infopro_seg.errors import DivergedError
from infopro_seg.hooks import FiniteLossHook
from tests.runs import load, train_tiny


@pytest.fixture
def runner(tmp_path):
    """Stands in for a runner whose iterations have the losses that a test gives."""
    model = torch.nn.BatchNorm1d(2)
    return SimpleNamespace(
        iter=0,
        model=model,
        work_dir=str(tmp_path),
        logger=MMLogger.get_current_instance(),
        message_hub=MessageHub('finite losses'),
        optim_wrapper=OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.5)),
    )


def losses(hook, runner, *values):
    for value in values:
        log = {'loss': value, 'local_0.recon.loss_bce': 0.5, 'local_2.task.loss_ce': value, 'decode.acc': 1.0}
        hook.after_train_iter(runner, runner.iter, outputs={k: torch.tensor(v) for k, v in log.items()})
        runner.iter += 1


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_some_iterations_in_a_row_end_the_training_with_names(runner, value):
    hook = FiniteLossHook(patience=3)
    losses(hook, runner, 1.0, value, value, 1.0, value, value)
    with pytest.raises(DivergedError) as caught:
        losses(hook, runner, value)
    for word in (
        'the losses of local module 2 are not finite in 3 iterations in a row, up to 7',
        f'local_2.task.loss_ce {value}',
        'The learning rate is 0.5',
        'clip_grad',
    ):
        assert word in str(caught.value)
    assert 'local_0' not in str(caught.value)


def test_the_last_module_is_named_too(runner):
    outputs = {name: torch.tensor(math.nan) for name in ('local_1.a', 'local_0.b', 'decode.loss_ce')}
    with pytest.raises(DivergedError, match='the losses of local modules 0, 1 and the last module are not'):
        FiniteLossHook(patience=1).after_train_iter(runner, 0, outputs=outputs)


def test_steps_that_are_skipped_while_the_loss_scale_comes_down_do_not_count(runner):
    scaler = SimpleNamespace(is_enabled=lambda: True, get_scale=lambda: runner.scale)
    wrapper = AmpOptimWrapper.__new__(AmpOptimWrapper)
    wrapper.loss_scaler, wrapper.optimizer = scaler, runner.optim_wrapper.optimizer
    wrapper.base_param_settings = None
    runner.optim_wrapper = wrapper
    hook = FiniteLossHook(patience=3)
    runner.scale = 1024.0
    losses(hook, runner, *[math.nan] * 10)
    runner.scale = 1.0  # no scale is the cause any more
    with pytest.raises(DivergedError):
        losses(hook, runner, *[math.nan] * 3)


def test_weights_that_are_not_finite_are_not_saved(runner):
    hook = FiniteLossHook()
    runner.model.running_var[0] = math.inf  # as in an attention mask
    hook.before_save_checkpoint(runner, {})
    runner.model.running_mean[0] = math.nan
    with pytest.raises(DivergedError, match=r'1 weights are not finite .*: running_mean'):
        hook.before_save_checkpoint(runner, {})
    runner.model.weight.data[1] = math.inf
    with pytest.raises(DivergedError, match=r'2 weights are not finite .*: weight, running_mean'):
        hook.before_save_checkpoint(runner, {})


@pytest.mark.parametrize('loop', ['ResumableIterBasedTrainLoop', 'IterBasedTrainLoop'])
def test_a_training_that_diverges_stops_and_leaves_finite_weights(streets, tmp_path, loop):
    """After two good iterations the learning rate jumps; every iteration saves, and few are kept."""
    options = {
        'param_scheduler': [{'type': 'ConstantLR', 'factor': 1e-40, 'end': 2, 'by_epoch': False}],
        'optim_wrapper.optimizer.lr': 1e38,
        'train_cfg.max_iters': 50,
        'train_cfg.type': loop,
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.checkpoint.max_keep_ckpts': 2,
    }
    with pytest.raises(DivergedError):
        train_tiny(streets, tmp_path, **options)
    kept = sorted(tmp_path.glob('iter_*.pth'))
    assert kept
    for path in kept:
        assert all(v.isfinite().all() for v in load(path)['state_dict'].values())
