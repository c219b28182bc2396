"""Check a data set before training on it: every image and label image of a split.

See `python tools/check_dataset.py --help`.
"""

from infopro_seg.cli import run
from infopro_seg.commands.check_dataset import main

if __name__ == '__main__':
    run(main)
