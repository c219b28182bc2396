"""What the commands say while they work."""

import json
import sys

import pytest
from mmengine.logging import MMLogger

from infopro_seg.commands import plan
from infopro_seg.consoles import spinner
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
