"""Draw synthetic street scenes in the layout of Cityscapes; after Ctrl-C the same command completes the set.

See `python tools/make_synthetic_streets.py --help`.
"""

from infopro_seg.cli import run
from infopro_seg.commands.make_synthetic_streets import main

if __name__ == '__main__':
    run(main)
