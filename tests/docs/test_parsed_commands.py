"""Every command of every page is one that its argument parser takes, with suites and budgets that exist."""

import argparse
import re
import runpy
import sys
from functools import cache

import pytest
from torch.distributed.run import parse_args as parse_torchrun

from infopro_seg.comparison.suite import find_suite, select_runs
from infopro_seg.config_files import load_config, shipped_configs
from infopro_seg.memory.quantities import parse_bytes, parse_numbers
from tests import optional_packages
from tests.docs.shell import PAGES, calls, name
from tests.runs import ROOT

optional_packages.import_classification()  # what the suite cifar10 needs


class Parsed(BaseException):
    """Ends a program once it has read its arguments."""


def parse(words, monkeypatch):
    """What the program of a call reads from its arguments; it ends there."""
    read = argparse.ArgumentParser.parse_args

    def parse_args(self, *given):
        raise Parsed(read(self, *given))

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', parse_args)
    is_module = words[0] == '-m'
    start, program = (runpy.run_module, words[1]) if is_module else (runpy.run_path, str(ROOT / words[0]))
    monkeypatch.setattr(sys, 'argv', words[is_module:])
    with pytest.raises(Parsed) as parsed:
        start(program, run_name='__main__')
    return parsed.value.args[0]


@cache
def suite(name):
    return load_config(find_suite(name, shipped_configs() / 'compare'))


def check(program, words, monkeypatch):
    if program == 'make':
        assert re.search(rf'^{words[0]}:', (ROOT / 'Makefile').read_text(), re.MULTILINE)
    elif program == 'pip':
        assert [word for word in words if word.endswith('.txt') and not (ROOT / word).is_file()] == []
    elif words[:2] == ['-m', 'torch.distributed.run']:
        started = parse_torchrun(words[2:])
        check('python', [started.training_script, *started.training_script_args], monkeypatch)
    elif program == 'python':
        args = vars(parse(words, monkeypatch))
        if 'suite' in args:
            if (ROOT / args['suite']).is_file():  # its own modules lie beside it: PYTHONPATH of the call
                monkeypatch.syspath_prepend(str((ROOT / args['suite']).parent))
            assert select_runs(suite(args['suite']), args['methods'], args['modules'], args['seeds'])
        elif 'modules' in args:
            assert args['modules'] is None or parse_numbers(args['modules'])
        assert args.get('budget') is None or parse_bytes(args['budget'])


@pytest.mark.parametrize('page', [page for page in PAGES if calls(page)], ids=name)
def test_its_commands_are_understood(page, monkeypatch):
    for program, *words in calls(page):
        with monkeypatch.context() as patch:
            check(program, words, patch)


@pytest.mark.parametrize('words', [['--no-such-option'], ['--budget'], []])
def test_a_command_that_is_wrong_is_noticed(monkeypatch, words):
    with pytest.raises(SystemExit):
        parse(['tools/plan.py', *words], monkeypatch)
