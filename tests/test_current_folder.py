"""A folder may be removed while a shell is still in it."""

import os
import subprocess
import sys

from infopro_seg.cli import FAILED
from tests.runs import ROOT


def test_a_removed_current_folder_is_named(tmp_path):
    folder = tmp_path / 'job'
    folder.mkdir()
    train = [sys.executable, str(ROOT / 'tools' / 'train.py'), str(ROOT / 'configs' / 'infopro_demo.py')]
    done = subprocess.run(
        ['sh', '-c', 'rmdir ../job; exec "$@"', 'sh', *train],
        cwd=folder,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == FAILED, done.stderr
    assert 'Traceback' not in done.stderr
    assert f'error: the current folder {folder} has been removed; change to another' in done.stderr
