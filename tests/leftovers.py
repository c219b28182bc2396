"""After the session: no test has left a file in the repository, in `work_dirs` or in `data`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CACHES = ('__pycache__', 'infopro_seg.egg-info')

_before = pytest.StashKey[set[str]]()
_left = pytest.StashKey[list[str]]()


def files_of(root: Path) -> set[str]:
    """Paths of all files and empty folders but for caches and what is hidden."""
    found = set()
    for folder, folders, files in os.walk(root):
        if not folders and not files:
            found.add(os.path.relpath(folder, root))
        folders[:] = [name for name in folders if name not in CACHES and not name.startswith('.')]
        found |= {os.path.relpath(Path(folder) / name, root) for name in files if not name.startswith('.')}
    return found


def is_controller(config: pytest.Config) -> bool:
    """Whether this is the process that was started, not one of its workers."""
    return not hasattr(config, 'workerinput')


def pytest_sessionstart(session: pytest.Session) -> None:
    if is_controller(session.config):
        session.config.stash[_before] = files_of(ROOT)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    before = session.config.stash.get(_before, None)
    if before is None:
        return
    left = session.config.stash[_left] = sorted(files_of(ROOT) - before)
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left = config.stash.get(_left, [])
    if left:
        terminalreporter.section('files that appeared in the repository while the tests ran', red=True)
        terminalreporter.line('\n'.join(left))
        terminalreporter.line('a test must write to tmp_path; if you made them yourself meanwhile, run again')
