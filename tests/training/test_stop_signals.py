"""A closed terminal and a scheduler's warning stop a training as Ctrl-C does."""

import faulthandler
import os
import signal
import subprocess

import pytest
from torch.distributed.run import get_args_parser

from infopro_seg.training.interruptions.interrupts import REQUESTS, Interrupts
from tests.runs import ROOT

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
def test_a_dump_of_the_stacks_that_the_user_asked_for_stays(number, tmp_path):
    with open(tmp_path / 'stacks.txt', 'w+') as file:
        faulthandler.register(number, file)
        try:
            with Interrupts() as interrupts:
                os.kill(os.getpid(), number)
        finally:
            faulthandler.unregister(number)
        assert 'test_a_dump_of_the_stacks' in (tmp_path / 'stacks.txt').read_text()
    assert not interrupts.asked


@pytest.mark.parametrize('number', WARNINGS)
def test_a_handler_of_the_user_stays(number):
    received = []
    signal.signal(number, lambda *_: received.append(number))
    with Interrupts() as interrupts:
        os.kill(os.getpid(), number)
    assert received == [number]
    assert not interrupts.asked


def test_the_launcher_of_several_processes_passes_them_on(tmp_path):
    """It would end with a signal that it does not know, and the ranks before they have saved."""
    python = tmp_path / 'python'
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    command = ['bash', 'tools/dist_train.sh', 'config.py', '2']
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, 'PYTHON': str(python)}, capture_output=True, text=True
    )
    first, module, *arguments = done.stdout.splitlines()
    assert (first, module) == ('-m', 'torch.distributed.run')
    passed = get_args_parser().parse_args(arguments).signals_to_handle.split(',')
    assert {number.name for number in REQUESTS} <= {*passed}
