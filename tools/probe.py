"""Look inside trained networks: what each depth still knows of the image and of the classes.

See `python tools/probe.py --help`.
"""

from infopro_seg.cli import run
from infopro_seg.commands.probe import main

if __name__ == '__main__':
    run(main)
