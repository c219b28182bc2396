"""Loss scales of the processes in a checkpoint."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import AmpOptimWrapper
from torch import nn

from infopro_seg.training.module_parallel import runner as runners
from infopro_seg.training.module_parallel.placement import Placement

SCALES = (8.0, 2.0, 4.0)  # of the modules


@pytest.fixture
def parts():
    """What was sent, by module."""
    return {}


def process(module, parts):
    """A runner of the process of a module; the link to the others is a dict."""
    link = SimpleNamespace(
        send_part=lambda part: parts.__setitem__(module, part), receive_part=lambda index: parts[index]
    )
    placement = Placement(modules=len(SCALES), replicas=1, rank=len(SCALES) - 1 - module)
    assert placement.module == module
    return SimpleNamespace(model=SimpleNamespace(link=link, placement=placement), names_saved=[])


def optimizer(scale):
    parameters = nn.Linear(1, 1).parameters()
    return AmpOptimWrapper(loss_scale=scale, optimizer=torch.optim.SGD(parameters, lr=0.1))


@pytest.fixture
def checkpoint(parts, monkeypatch, amp_on_a_cpu):
    """The checkpoint that the first rank makes."""
    for module, scale in enumerate(SCALES):
        last = module == len(SCALES) - 1
        monkeypatch.setattr(runners, 'is_main_process', lambda last=last: last)
        content = {'state_dict': {}, 'optimizer': optimizer(scale).state_dict()}
        if last:
            runners.PartsHook().before_save_checkpoint(process(module, parts), content)
        else:
            with pytest.raises(runners._SentError):
                runners.PartsHook().before_save_checkpoint(process(module, parts), content)
    return content


@pytest.mark.parametrize('module', range(len(SCALES)))
def test_each_process_goes_on_with_its_own(checkpoint, module):
    runners.PartsHook().after_load_checkpoint(process(module, {}), checkpoint)
    resumed = optimizer(1.0)
    resumed.load_state_dict(checkpoint['optimizer'])
    assert resumed.loss_scaler.get_scale() == SCALES[module]


def test_one_process_goes_on_with_that_of_the_last_module(checkpoint):
    resumed = optimizer(1.0)
    resumed.load_state_dict(checkpoint['optimizer'])
    assert resumed.loss_scaler.get_scale() == SCALES[-1]


def test_a_checkpoint_of_another_number_of_modules_is_taken_as_that_of_one_process(checkpoint):
    del checkpoint['optimizer']['loss_scalers'][0]
    runners.PartsHook().after_load_checkpoint(process(0, {}), checkpoint)
    assert checkpoint['optimizer']['loss_scaler']['scale'] == SCALES[-1]
