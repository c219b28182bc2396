"""Train a segmentor.

See `python tools/train.py --help`.
"""

from infopro_seg.cli import run
from infopro_seg.commands.train import main

if __name__ == '__main__':
    run(main)
