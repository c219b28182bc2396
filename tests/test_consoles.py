"""What the commands say while they work."""

import json
import logging
import os
import subprocess
import sys

import pytest
from mmengine.logging import MMLogger

from infopro_seg.commands import plan
from infopro_seg.consoles import quiet_console, spinner
from infopro_seg.strict_json import write_or_print_json


@pytest.fixture
def logger(monkeypatch, capsys):
    """A log whose console is stdout, as mmengine makes it."""
    found = MMLogger('a log of its own', log_level='INFO')
    for handler in found.handlers:
        handler.stream = sys.stdout  # of this test
    monkeypatch.setattr(MMLogger, 'get_current_instance', lambda: found)
    return found


def test_where_stderr_is_no_terminal_each_step_is_a_line(capfd):
    with spinner() as report:
        report('balancing 2 local modules [of 3]')
        assert capfd.readouterr().err == 'balancing 2 local modules [of 3]\n'  # at once
        report('x' * 300)
    assert capfd.readouterr() == ('', 'x' * 300 + '\n')


@pytest.mark.parametrize('planned', ['training', 'inference'])
def test_a_plan_on_stdout_has_no_log_in_it(planned, logger, monkeypatch, capsys):
    def write(request):
        logger.info('4 local modules, balanced')
        write_or_print_json(request.json, [{'peak_gib': 1.5}])
        return 0

    monkeypatch.setattr('infopro_seg.memory.planning.command.plan', write)
    monkeypatch.setattr('infopro_seg.memory.inference.inference_plan.plan_inference', write)
    more = ['--inference'] * (planned == 'inference')
    monkeypatch.setattr('sys.argv', ['plan.py', 'configs/infopro_demo.py', '--json', '-', *more])
    assert plan.main() == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == [{'peak_gib': 1.5}]
    assert shown.err.count('4 local modules, balanced') == 1
    assert 'Logging error' not in shown.err


ANY = 'class \u6f22, file \udcfc.png'


@pytest.mark.parametrize('encoding', ['ascii', 'latin-1', 'utf-8'])
def test_a_command_prints_what_the_encoding_of_stdout_lacks(encoding):
    code = f'from infopro_seg.cli import run\nrun(lambda: print({ANY!a}))'
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, env=os.environ | {'PYTHONIOENCODING': encoding}
    )
    assert (done.returncode, done.stdout.strip()) == (0, ANY.encode(encoding, 'backslashreplace'))


def test_no_line_of_the_log_is_lost_where_the_locale_lacks_a_letter(logger, tmp_path, monkeypatch):
    monkeypatch.setattr(logging, 'raiseExceptions', logging.raiseExceptions)  # which is set for good
    written = tmp_path / 'log'
    handler = logging.FileHandler(written, encoding='latin-1')
    logger.addHandler(handler)
    quiet_console(logger)
    logger.info(ANY)
    handler.close()
    assert written.read_bytes() == b'class \\u6f22, file \\udcfc.png\n'
