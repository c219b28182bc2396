"""Check a downloaded Cityscapes and write the label images that training reads; after Ctrl-C it goes on.

See `python tools/prepare_cityscapes.py --help`.
"""

from infopro_seg.cli import run
from infopro_seg.commands.prepare_cityscapes import main

if __name__ == '__main__':
    run(main)
