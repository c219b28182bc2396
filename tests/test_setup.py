"""tools/setup_venv.sh with stand-ins for Python: what it asks them, and what it tells the user."""

import os
import subprocess

import pytest

from tests.runs import ROOT

# A Python that notes its arguments, and fails where {fails} matches one of them.
PYTHON = """#!/bin/sh
echo "$0 $*" >> "$CALLS"
case "$*" in
    --version) echo 'Python 3.9.2';;
    {fails}) echo '{says}' >&2; exit 1;;
    '-m venv .venv') mkdir -p .venv/bin; cp "$INNER" .venv/bin/python;;
esac
"""
NEVER = 'never'


@pytest.fixture
def machine(tmp_path):
    """Runs the script in an empty folder with two stand-ins: the system's Python and that in .venv."""

    def run(outer=NEVER, inner=NEVER, says='', python='python3', options=()):
        tools = tmp_path / 'bin'
        tools.mkdir()
        for name, fails in (('python3', outer), ('inner', inner)):
            (tools / name).write_text(PYTHON.format(fails=fails, says=says))
            (tools / name).chmod(0o755)
        path = f'{tools}:{os.environ["PATH"]}'
        environment = {'PATH': path, 'CALLS': str(tmp_path / 'calls'), 'INNER': str(tools / 'inner')}
        command = ['sh', str(ROOT / 'tools/setup_venv.sh'), python, 'requirements.txt', *options]
        return subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True)

    return run


@pytest.mark.parametrize(
    ('situation', 'message'),
    [
        (
            {'python': 'python3.99'},
            'python3.99 is not installed; on Debian: apt-get install python3 python3-venv',
        ),
        ({'outer': '*version_info*'}, 'Python 3.9.2 is too old; take 3.11, which is tested, or 3.12'),
        ({'outer': '*ensurepip*'}, 'python3 has no venv module; on Debian: apt-get install python3-venv'),
        ({'inner': '*cv2*', 'says': 'ImportError: libGL.so.1'}, 'apt-get install libgl1 libglib2.0-0'),
    ],
    ids=['no python', 'too old', 'no venv', 'no libGL'],
)
def test_what_the_machine_lacks_is_named_with_the_package(machine, situation, message):
    done = machine(**situation)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith('error: ')
    assert message in last
    assert situation.get('says', '') in done.stderr


def test_requirements_and_the_package_are_installed_into_the_environment(machine, tmp_path):
    done = machine()
    assert (done.returncode, done.stderr) == (0, '')
    calls = (tmp_path / 'calls').read_text().splitlines()
    pip = '.venv/bin/python -m pip install --quiet --disable-pip-version-check'
    assert f'{pip} --requirement requirements.txt' in calls
    assert calls.index(f'{pip} --no-deps --editable .') > calls.index(f'{pip} --requirement requirements.txt')


def test_options_go_to_the_installation_of_the_requirements_only(machine, tmp_path):
    assert machine(options=['--no-deps', '--pre']).returncode == 0
    calls = (tmp_path / 'calls').read_text()
    assert '--no-deps --pre --requirement requirements.txt\n' in calls
    assert calls.count('--pre') == 1


def test_a_python_that_nobody_tried_is_warned_of(machine):
    done = machine(outer="*'(3, 13)'*")
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1].startswith('warning: Python 3.9.2 is untried; if it fails, take 3.11')


def test_an_environment_whose_making_was_interrupted_is_completed(machine, tmp_path):
    python = tmp_path / '.venv' / 'bin' / 'python'
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "No module named pip" >&2; exit 1\n')
    python.chmod(0o755)
    (tmp_path / '.venv' / 'kept').touch()
    done = machine()
    assert (done.returncode, done.stderr) == (0, '')
    assert (tmp_path / '.venv' / 'kept').exists()  # an environment without pip may be somebody's own


def test_a_failed_installation_is_not_taken_for_a_good_one(machine):
    assert machine(inner='*pip*').returncode != 0
