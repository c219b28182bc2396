"""Check a downloaded CamVid: folders, counts, sizes and label ids. Nothing is written or changed.

The folder is that of SegNet: train, trainannot, val, valannot, test and testannot, with images as PNG or
JPEG. Its label images stay as they are: the id 11, void, becomes 255 when the data set reads them.

Example:
    python tools/prepare_camvid.py data/camvid
"""

from __future__ import annotations

import sys
from pathlib import Path

from infopro_seg.datasets import camvid_folder
from infopro_seg.datasets.problems import problem_lines
from infopro_seg.options import new_parser

SHOWN = 20
HOME = Path('data/camvid')  # where the configs look


def main() -> int:
    """Runs the command."""
    parser = new_parser(__doc__)
    parser.add_argument('root', type=Path, help='folder that holds train, trainannot and so on')
    root = parser.parse_args().root
    problems = camvid_folder.check_camvid(root)
    for line in problem_lines(problems, SHOWN):
        print(line, file=sys.stderr)
    if len(problems) > SHOWN:
        print(f'... and {len(problems) - SHOWN} more', file=sys.stderr)
    if problems:
        return 1
    counts = ', '.join(f'{count} {split}' for split, count in camvid_folder.COUNTS.items())
    print(f'{root} is complete: {counts} images')
    if not (HOME.is_dir() and HOME.samefile(root)):
        print(f'the configs look for it in {HOME}: ln -s {root.resolve()} {HOME}')
    return 0
