"""Schedules that end before the training does."""

import warnings
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OneCycleLR
from mmengine.runner import EpochBasedTrainLoop

from infopro_seg.errors import ConfigError
from infopro_seg.training.schedules import require_schedules

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
