"""Draw synthetic street scenes in the layout of Cityscapes; after Ctrl-C the same command completes the set.

Example:
    python tools/make_synthetic_streets.py --out data/synthetic_streets --train 400 --val 100
"""

from __future__ import annotations

import argparse
from pathlib import Path

from infopro_seg.consoles import logged_counting
from infopro_seg.options import new_parser
from infopro_seg.streets.data_set import make_synthetic_streets


def parse_args() -> argparse.Namespace:
    """Reads the command line."""
    parser = new_parser(__doc__)
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('data/synthetic_streets'),
        help='folder to fill; default: %(default)s',
    )
    parser.add_argument('--train', type=int, default=400, help='training images; default: %(default)s')
    parser.add_argument('--val', type=int, default=100, help='validation images; default: %(default)s')
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=(512, 1024),
        metavar=('H', 'W'),
        help='height and width in pixels; default: 512 1024',
    )
    parser.add_argument('--seed', type=int, default=0, help='random seed of the scenes; default: %(default)s')
    parser.add_argument('--workers', type=int, help='number of processes; default: one per core')
    parser.add_argument('--force', action='store_true', help='replace another synthetic set in the folder')
    return parser.parse_args()


def main() -> None:
    """Runs the command."""
    args = parse_args()
    with logged_counting() as progress:
        make_synthetic_streets(
            args.out,
            args.train,
            args.val,
            tuple(args.size),
            args.seed,
            args.workers,
            force=args.force,
            progress=progress,
        )
