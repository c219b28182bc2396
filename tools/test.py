"""Evaluate a checkpoint: mIoU on the config's test split. Without labels, --out writes its label images.

See `python tools/test.py --help`.
"""

from infopro_seg.cli import run
from infopro_seg.commands.test import main

if __name__ == '__main__':
    run(main)
