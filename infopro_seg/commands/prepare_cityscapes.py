"""Check a downloaded Cityscapes and write the label images that training reads; after Ctrl-C it goes on.

Example:
    python tools/prepare_cityscapes.py data/cityscapes
"""

from __future__ import annotations

import argparse
from pathlib import Path

from infopro_seg.consoles import logged_counting
from infopro_seg.datasets.cityscapes import COUNTS, prepare_cityscapes
from infopro_seg.datasets.problems import problem_lines
from infopro_seg.options import new_parser

SHOWN = 20


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = new_parser(__doc__)
    parser.add_argument('root', type=Path, help='folder that holds leftImg8bit and gtFine')
    parser.add_argument('--workers', type=int, help='processes (default: one per core)')
    args = parser.parse_args()
    if args.workers is not None and args.workers < 1:
        parser.error(f'--workers must be 1 or more, not {args.workers}')
    return args


def main() -> int:
    """Runs the command."""
    args = parse_args()
    with logged_counting() as progress:
        problems = prepare_cityscapes(args.root, args.workers, progress=progress)
    for line in problem_lines(problems, SHOWN):
        progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
    if len(problems) > SHOWN:
        progress.console.print(f'... and {len(problems) - SHOWN} more')
    if not problems:
        counts = ' and '.join(f'{count} {split}' for split, count in COUNTS.items())
        progress.console.print(f'{args.root} is complete: {counts} images', highlight=False)
    return 1 if problems else 0
