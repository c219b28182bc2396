"""Train the methods of the paper side by side and compare what they learn.

See `python tools/compare.py --help`.
"""

from infopro_seg.cli import run
from infopro_seg.commands.compare import main

if __name__ == '__main__':
    run(main)
