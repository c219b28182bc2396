"""`python -m infopro_seg NAME ...` runs the command NAME, as `python tools/NAME.py ...` does in a clone."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pkgutil import iter_modules

import infopro_seg.commands as commands
from infopro_seg.cli import FAILED, run


def main() -> int | None:
    """Runs the command that the first argument names."""
    names = sorted(module.name for module in iter_modules(commands.__path__))
    name = sys.argv[1] if len(sys.argv) > 1 else '--help'
    if name not in names:
        asked = name in ('-h', '--help')
        stream = sys.stdout if asked else sys.stderr
        unknown = '' if asked else f'error: there is no command {name!r}\n'
        stream.write(f'{unknown}{_usage(names)}')
        return 0 if asked else FAILED
    sys.argv[:2] = [f'infopro_seg {name}']
    status: int | None = import_module(f'infopro_seg.commands.{name}').main()
    return status


def _usage(names: list[str]) -> str:
    lines = [
        'usage: python -m infopro_seg COMMAND ...',
        '',
        'commands (COMMAND --help shows the options of one):',
    ]
    for name in names:
        described = import_module(f'infopro_seg.commands.{name}').__doc__ or ''
        lines.append(f'  {name:<23} {re.split(r"[.:;](?= |$)", described.splitlines()[0])[0]}')
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    run(main)
