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

    def run(outer=NEVER, inner=NEVER, says='', python='python3'):
        tools = tmp_path / 'bin'
        tools.mkdir()
        for name, fails in (('python3', outer), ('inner', inner)):
            (tools / name).write_text(PYTHON.format(fails=fails, says=says))
            (tools / name).chmod(0o755)
        path = f'{tools}:{os.environ["PATH"]}'
        environment = {'PATH': path, 'CALLS': str(tmp_path / 'calls'), 'INNER': str(tools / 'inner')}
        command = ['sh', str(ROOT / 'tools/setup_venv.sh'), python, 'requirements.txt']
        return subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True)

    return run


@pytest.mark.parametrize(
    ('situation', 'message'),
    [
        (
            {'python': 'python3.99'},
            'python3.99 is not installed; on Debian: apt-get install python3 python3-venv',
        ),
        ({'outer': '*version_info*'}, 'Python 3.9.2 is too old; Python 3.11 or 3.12 is needed'),
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


def test_a_failed_installation_is_not_taken_for_a_good_one(machine):
    assert machine(inner='*pip*').returncode != 0
