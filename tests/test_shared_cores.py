"""Threads that wait give up their core soon, unless the user has said otherwise."""

import os
import subprocess
import sys

import pytest

SHOW = """
import os, sys
from infopro_seg.cli import run
import infopro_seg.commands.train
assert 'torch' not in sys.modules
run(lambda: print(os.environ.get('GOMP_SPINCOUNT')))
"""


@pytest.mark.parametrize(
    ('given', 'shown'),
    [({}, '10000'), ({'GOMP_SPINCOUNT': '7'}, '7'), ({'OMP_WAIT_POLICY': 'active'}, 'None')],
)
def test_a_tool_sets_how_long_threads_spin_before_torch_is_imported(given, shown):
    kept = {key: os.environ[key] for key in os.environ if key not in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY')}
    done = subprocess.run([sys.executable, '-c', SHOW], env=kept | given, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, shown), done.stderr
