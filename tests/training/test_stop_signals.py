"""A closed terminal and a scheduler's warning stop a training as Ctrl-C does."""

import os
import signal

import pytest

from infopro_seg.training.interrupts import Interrupts

WARNINGS = (signal.SIGUSR1, signal.SIGUSR2)


@pytest.fixture(autouse=True)
def handlers():
    numbers = (signal.SIGHUP, *WARNINGS)
    previous = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, previous, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize('number', [signal.SIGHUP, *WARNINGS])
def test_a_signal_asks_to_stop(number):
    signal.signal(number, signal.SIG_DFL)
    with Interrupts() as interrupts:
        os.kill(os.getpid(), number)
        assert interrupts.asked
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_hangup_under_nohup_is_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not interrupts.asked


@pytest.mark.parametrize('number', WARNINGS)
def test_a_handler_of_the_user_stays(number):
    received = []
    signal.signal(number, lambda *_: received.append(number))
    with Interrupts() as interrupts:
        os.kill(os.getpid(), number)
    assert received == [number]
    assert not interrupts.asked
