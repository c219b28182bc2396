import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import PolyLR, ReduceOnPlateauLR
from torch import nn

from infopro_seg.errors import CheckpointError
from infopro_seg.training.resuming.resumed_schedules import Plan
from tests.runs import STOPPED, load, train_tiny

LR, ETA_MIN = 0.05, 1e-4  # of the demo


def poly(end, **more):
    return [{'type': 'PolyLR', 'eta_min': ETA_MIN, 'power': 0.9, 'end': end, 'by_epoch': False, **more}]


def rates(end, lr, iterations):
    """The rate before each iteration of an undisturbed training, as mmengine's own schedule has it."""
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=lr)
    schedule = PolyLR(optimizer, eta_min=ETA_MIN, power=0.9, end=end, by_epoch=False)
    found = []
    for _ in range(iterations):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        schedule.step()
    return found


@pytest.fixture
def resumed(streets, trained, tmp_path, capfd):
    """Resumes the run in the middle, under other settings; returns the runner and what is on the console."""

    def resume(**options):
        options = {'log_level': 'WARNING', **options}
        runner = train_tiny(streets, tmp_path, resume=str(trained / f'iter_{STOPPED}.pth'), **options)
        out, err = capfd.readouterr()
        return runner, out + err

    return resume


def logged_rates(runner):
    return runner.message_hub.get_scalar('train/lr').data[0].tolist()


def test_a_longer_schedule_is_followed_as_if_it_had_been_there_from_the_start(resumed):
    runner, console = resumed(param_scheduler=poly(12), **{'train_cfg.max_iters': 8})
    assert logged_rates(runner)[STOPPED:] == pytest.approx(rates(12, LR, 8)[STOPPED:], rel=1e-6)
    assert 'param_scheduler[0].end 6 -> 12' in console
    assert 'train_cfg.max_iters 6 -> 8' in console


def test_another_rate_and_decay_are_followed(resumed):
    options = {'optim_wrapper.optimizer.lr': 0.02, 'optim_wrapper.optimizer.weight_decay': 0.25}
    runner, console = resumed(**options)
    assert logged_rates(runner)[STOPPED:] == pytest.approx(rates(6, 0.02, 6)[STOPPED:], rel=1e-6)
    assert runner.optim_wrapper.param_groups[0]['weight_decay'] == 0.25
    assert 'optim_wrapper.optimizer.lr 0.05 -> 0.02' in console
    assert 'weight_decay 0.0005 -> 0.25' in console


def test_the_same_settings_are_not_talked_about_and_continue_exactly(resumed, trained):
    pipeline = load(trained / f'iter_{STOPPED}.pth')['meta']['cfg']
    pipeline = Config.fromstring(pipeline, '.py').train_dataloader.dataset.pipeline
    runner, console = resumed(**{'train_dataloader.dataset.pipeline': pipeline})
    assert 'other settings' not in console
    expected = load(trained / 'iter_6.pth')
    assert runner.optim_wrapper.state_dict()['param_groups'] == expected['optimizer']['param_groups']


def test_mixed_precision_that_is_switched_is_named(resumed):
    _, console = resumed(**{'optim_wrapper.type': 'CPUAmpOptimWrapper', 'train_cfg.max_iters': 4})
    assert 'optim_wrapper.type OptimWrapper -> CPUAmpOptimWrapper' in console


def test_a_model_and_data_of_other_settings_are_named_though_all_weights_fit(resumed):
    cuts = ('layer1.1', 'layer3.1')  # as wide as the demo's
    _, console = resumed(
        **{
            'model.backbone.local_head.decoder.loss_recon.loss_weight': 5.0,
            'model.data_preprocessor.mean': [0.0, 0.0, 0.0],
            'model.backbone.cuts': cuts,
            'train_cfg.max_iters': 4,
        }
    )
    assert f"model.backbone.cuts ('layer1.1', 'layer3.0') -> {cuts}" in console
    assert 'loss_recon.loss_weight (2.0, 1.0) -> 5.0' in console
    assert 'model.data_preprocessor.mean [123.675, 116.28, 103.53] -> [0.0, 0.0, 0.0]' in console
    assert 'train_dataloader.dataset.pipeline (8 parts) -> (7 parts)' in console  # without NoteReads


def plateau(**more):
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=LR)
    return ReduceOnPlateauLR(optimizer, monitor='mIoU', rule='greater', **{'patience': 1, **more})


@pytest.mark.parametrize('scores', [[], [1], [1, 0], [1, 0, 0], [1, 0, 0, 2]])
def test_validations_that_were_no_better_make_no_other_schedule(scores):
    """Such a run could not be resumed."""
    trained, state = plateau(), copy.deepcopy(plateau().state_dict())
    for score in scores:
        trained.step({'mIoU': score})
    assert not Plan([], [state])._has_other_schedules([trained.state_dict()])
    assert Plan([], [plateau(patience=5).state_dict()])._has_other_schedules([trained.state_dict()])


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (
            {'optim_wrapper.optimizer': {'_delete_': True, 'type': 'AdamW', 'lr': 0.01}},
            'trained with SGD, but the config has AdamW',
        ),
        ({'optim_wrapper.paramwise_cfg': {'norm_decay_mult': 0.0}}, 'its groups of parameters differ'),
    ],
)
def test_another_optimizer_is_refused(resumed, options, expected):
    with pytest.raises(CheckpointError) as caught:
        resumed(**options)
    assert expected in str(caught.value)
    assert '--cfg-options load_from=' in str(caught.value)
