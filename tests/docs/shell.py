"""The shell blocks of the pages, read by bash itself, so that loops and quotes mean what they mean."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import textwrap
from functools import cache
from pathlib import Path

from tests.runs import ROOT

PAGES = sorted([ROOT / 'README.md', ROOT / 'data' / 'README.md', *(ROOT / 'docs').rglob('*.md')])
NOTED = (
    'python',
    'python3',
    'pip',
    'make',
    'git',
    'unzip',
    'csDownload',
)  # the rest is run
NOTE = '#!/bin/sh\n{ basename "$0"; printf "%s\\0" "$@"; printf "\\036"; } | tr "\\n" "\\0" >> "$NOTES"\n'


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    found = re.findall(rf'^( *)```{language}\n(.*?)^\1```', page.read_text(), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(text) for _, text in found]


@cache
def calls(page: Path) -> list[list[str]]:
    """The words of each program that a page's reader starts, in order; nothing is run of those noted."""
    in_prose = re.findall(r'`(python (?:tools/|-m )[^`]+)`', page.read_text())
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        notes, programs = place / 'notes', place / 'programs'
        programs.mkdir()
        for program in NOTED:
            (programs / program).write_text(NOTE)
            (programs / program).chmod(0o755)
        clone = place / 'clone'
        (clone / '.venv' / 'bin').mkdir(parents=True)
        (clone / '.venv' / 'bin' / 'activate').touch()
        (clone / 'data').mkdir()
        (clone / 'tools').symlink_to(ROOT / 'tools')
        notes.touch()
        subprocess.run(
            ['bash', '-eu'],
            input='\n'.join(blocks(page, 'bash') + in_prose),
            env={'PATH': f'{programs}{os.pathsep}{os.defpath}', 'NOTES': str(notes)},
            cwd=clone,
            text=True,
            check=True,
        )
        return [call.split('\0')[:-1] for call in notes.read_text().split('\036')[:-1]]
