import logging

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other


@pytest.fixture(scope='session', autouse=True)
def _quiet_logger():
    MMLogger.get_current_instance().setLevel(logging.ERROR)


@pytest.fixture(autouse=True)
def _same_start():
    """Every test finds mmseg's registries and the same random numbers, whatever ran before it."""
    init_default_scope('mmseg')
    torch.manual_seed(0)
