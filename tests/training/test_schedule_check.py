"""Schedules that end before the training does, or after it."""

import warnings
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OneCycleLR, ReduceOnPlateauLR
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import EpochBasedTrainLoop

from infopro_seg.errors import ConfigError
from infopro_seg.training.checks.schedule_check import require_schedules

LENGTH = 5


def one_cycle(by_epoch, **arguments):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    return OneCycleLR(optimizer, eta_max=0.1, by_epoch=by_epoch, **arguments)


def fails(scheduler):
    """Whether mmengine's own schedule fails within the training."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # the optimizer takes no steps
            for _ in range(LENGTH):
                scheduler.step()
    except ValueError:
        return True
    return False


@pytest.mark.parametrize('total_steps', [1, 2, 3, 4, 5, 6, None])
@pytest.mark.parametrize('range_', [{}, {'end': 3}, {'end': LENGTH}, {'begin': 2}, {'begin': 1, 'end': 4}])
@pytest.mark.parametrize('by_epoch', [False, True])
def test_a_cycle_that_ends_too_early_is_refused_and_no_other(total_steps, range_, by_epoch):
    arguments = {'total_steps': total_steps, 'by_epoch': by_epoch, **range_}
    kind = type('Loop', (EpochBasedTrainLoop if by_epoch else object,), {'max_epochs': LENGTH})
    loop = type(
        'Own', (kind,), {'__init__': lambda self: None, 'max_iters': 9 * LENGTH if by_epoch else LENGTH}
    )()
    runner = SimpleNamespace(param_schedulers=[one_cycle(**arguments)])
    if fails(one_cycle(**arguments)):
        with pytest.raises(ConfigError, match=f'total_steps={total_steps} of the OneCycleLR .*; leave total'):
            require_schedules(loop, runner)
    else:
        require_schedules(loop, runner)


def rates(schedule, steps):
    """The rate of each step, as mmengine's own schedules have it."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedulers = [PARAM_SCHEDULERS.build({'optimizer': optimizer, 'by_epoch': False, **s}) for s in schedule]
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the optimizer takes no steps
        for _ in range(steps):
            found.append(optimizer.param_groups[0]['lr'])
            for scheduler in schedulers:
                scheduler.step()
    return schedulers, found


@pytest.mark.parametrize(
    ('schedule', 'arrives', 'early'),
    [
        ([{'type': 'PolyLR', 'eta_min': 0.1, 'end': 100}], True, False),
        ([{'type': 'PolyLR', 'eta_min': 0.1, 'end': 101}], True, False),
        ([{'type': 'PolyLR', 'eta_min': 0.1, 'end': 400}], False, False),
        ([{'type': 'PolyLR', 'eta_min': 0.1}], False, False),
        ([{'type': 'PolyLR', 'eta_min': 0.1, 'end': 50}], True, True),
        ([{'type': 'CosineAnnealingLR', 'eta_min': 0.1, 'T_max': 100}], True, False),
        ([{'type': 'CosineAnnealingLR', 'eta_min': 0.1, 'end': 300}], False, False),
        ([{'type': 'CosineAnnealingLR', 'eta_min': 0.1}], False, False),
        (
            [
                {'type': 'LinearLR', 'start_factor': 0.1, 'end': 10},
                {'type': 'PolyLR', 'eta_min': 0.1, 'begin': 10, 'end': 100},
            ],
            True,
            False,
        ),
        (
            [
                {'type': 'LinearLR', 'start_factor': 0.1, 'end': 10},
                {'type': 'PolyLR', 'eta_min': 0.1, 'begin': 10, 'end': 50},
                {'type': 'MultiStepLR', 'milestones': [20], 'begin': 50},
            ],
            True,
            False,
        ),
    ],
)
def test_a_schedule_of_another_length_is_warned_of(schedule, arrives, early):
    schedulers, found = rates(schedule, 100)
    assert (found[-1] < 0.12) == arrives
    assert not arrives or (len({round(rate, 9) for rate in found[-40:]}) == 1) == early
    said = []
    loop = SimpleNamespace(max_iters=100)
    runner = SimpleNamespace(param_schedulers=schedulers, logger=SimpleNamespace(warning=said.append))
    require_schedules(loop, runner)
    assert len(said) == (not arrives or early)
    assert all('max_iters=100; correct its end' in text for text in said)


def test_a_schedule_of_another_kind_is_left_alone():
    own = SimpleNamespace(by_epoch=False, step=lambda: None)
    runner = SimpleNamespace(param_schedulers=[own])
    require_schedules(SimpleNamespace(max_iters=100), runner)


def test_a_schedule_that_counts_validations_is_not_told_to_count_iterations():
    """mmengine's own takes nothing but by_epoch=True."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    said = []
    schedule = ReduceOnPlateauLR(optimizer, monitor='mIoU', rule='greater')
    runner = SimpleNamespace(param_schedulers=[schedule], logger=SimpleNamespace(warning=said.append))
    require_schedules(SimpleNamespace(max_iters=100), runner)
    assert not said


def test_a_warm_up_longer_than_the_training_is_warned_of():
    schedulers, found = rates([{'type': 'LinearLR', 'start_factor': 0.1, 'end': 500}], 100)
    assert max(found) < 0.3
    said = []
    runner = SimpleNamespace(param_schedulers=schedulers, logger=SimpleNamespace(warning=said.append))
    require_schedules(SimpleNamespace(max_iters=100), runner)
    assert 'LinearLR in param_scheduler changes its lr until 500' in said[0]
