"""The device that a command works on."""

import pytest

from infopro_seg.devices import choose_device
from infopro_seg.errors import UserError


@pytest.mark.parametrize('device', ['meta', 'cuda:99', 'gpu', 'cpu:x'])
def test_a_device_that_computes_nothing_is_refused(device):
    with pytest.raises(UserError, match=f'--device {device} cannot be used .*; use cpu or cuda'):
        choose_device(device)


def test_the_cpu_is_taken():
    assert choose_device('cpu') == 'cpu'
