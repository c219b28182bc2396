"""Importing what a command runs prints nothing."""

import subprocess
import sys


def test_a_library_module_is_imported_without_a_word():
    done = subprocess.run(
        [sys.executable, '-c', 'import infopro_seg.evaluate'], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
