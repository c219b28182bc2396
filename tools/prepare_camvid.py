"""Check a downloaded CamVid: folders, counts, sizes and label ids. Nothing is written or changed.

See `python tools/prepare_camvid.py --help`.
"""

from infopro_seg.cli import run
from infopro_seg.commands.prepare_camvid import main

if __name__ == '__main__':
    run(main)
