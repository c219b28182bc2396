"""A closed terminal stops a training as Ctrl-C does, unless nohup runs it."""

import os
import signal

import pytest

from infopro_seg.training.interrupts import Interrupts


@pytest.fixture
def hangup():
    previous = signal.getsignal(signal.SIGHUP)
    yield lambda: os.kill(os.getpid(), signal.SIGHUP)
    signal.signal(signal.SIGHUP, previous)


def test_a_hangup_asks_to_stop(hangup):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with Interrupts() as interrupts:
        hangup()
        assert interrupts.asked
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_a_hangup_under_nohup_is_ignored(hangup):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interrupts() as interrupts:
        hangup()
        assert not interrupts.asked
