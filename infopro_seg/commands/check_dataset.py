"""Check a data set before training on it: every image and label image of a split.

It names missing, unreadable and mismatched files and ids outside the classes, counts the classes, compares
the images with the config's mean and std, and draws samples with their labels. The exit status is 1 if a file
is wrong.

Examples:
  python tools/check_dataset.py configs/custom_dataset.py
  python tools/check_dataset.py configs/deeplabv3_infopro_cityscapes.py --split val --json val.json
"""

from __future__ import annotations

from infopro_seg.options import add_cfg_options, new_parser


def main() -> int:
    """Runs the command."""
    parser = new_parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--split', choices=('train', 'val', 'test'), default='train', help='split to check; default: train'
    )
    parser.add_argument(
        '--out', metavar='DIR', help='folder for the pictures; default: work_dirs/<config>/dataset'
    )
    parser.add_argument('--workers', type=int, metavar='N', help='number of processes; default: one per core')
    parser.add_argument('--json', metavar='FILE', help='write all numbers and problems to this file')
    add_cfg_options(parser)
    args = parser.parse_args()

    import infopro_seg.register  # noqa: F401  what configs name
    from infopro_seg.datasets.checks.command import check_dataset
    from infopro_seg.training.checks.config_check import require_options_of

    require_options_of(args.config, args.cfg_options)
    return check_dataset(args.config, args.split, args.out, args.workers, args.json, args.cfg_options)
