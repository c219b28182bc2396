"""Evaluate a checkpoint: mIoU on the config's test split; of a classifier, top-1 and top-5 accuracy.

Without labels, --out writes label images.

Example:
  python tools/test.py configs/deeplabv3_infopro_cityscapes.py work_dirs/.../iter_40000.pth --tta
"""

from __future__ import annotations

import os

from infopro_seg.options import add_cfg_options, add_launcher, new_parser


def main() -> None:
    """Runs the command."""
    parser = new_parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--tta', action='store_true', help='average over scales 0.5-1.75 and flip')
    parser.add_argument(
        '--out', metavar='DIR', help="write the predicted label images, with the data set's own ids"
    )
    parser.add_argument(
        '--json', metavar='FILE', help='write mIoU and the IoU of each class, or the accuracies'
    )
    parser.add_argument('--work-dir', help='where the log goes; default work_dirs/<config>')
    add_cfg_options(parser)
    add_launcher(parser, 'dist_test.sh')
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))

    import infopro_seg.register  # noqa: F401  what configs name
    from infopro_seg.evaluate import evaluate

    evaluate(
        args.config,
        args.checkpoint,
        tta=args.tta,
        out=args.out,
        json_file=args.json,
        work_dir=args.work_dir,
        options=args.cfg_options,
        launcher=args.launcher,
    )
