"""List the blocks of a config's encoder: each but the last may be a cut.

See `python tools/list_blocks.py --help`.
"""

from infopro_seg.cli import run
from infopro_seg.commands.list_blocks import main

if __name__ == '__main__':
    run(main)
