"""Export a checkpoint for use without this package: for stock mmseg, as ONNX, or as a torch.export program.

A classifier's is exported for stock mmpretrain.

Examples:
  python tools/export.py work_dirs/deeplabv3_infopro_cityscapes/iter_40000.pth --out plain.pth
  python tools/export.py work_dirs/deeplabv3_infopro_cityscapes/iter_40000.pth --out exported --format onnx
"""

from __future__ import annotations

import sys

from infopro_seg.options import new_parser


def main() -> None:
    """Runs the command."""
    parser = new_parser(__doc__)
    parser.add_argument('checkpoint', help='checkpoint of an InfoPro training')
    parser.add_argument('--out', required=True, metavar='DIR_OR_FILE', help='a folder, or a file to write')
    parser.add_argument(
        '--format',
        choices=['mmseg', 'mmpretrain', 'onnx', 'pt2'],
        help='default: mmseg, or mmpretrain for classifiers, FILE.pth and FILE.py; onnx, pt2: the graph and '
        'a .json of classes, mean and std',
    )
    args = parser.parse_args()

    import infopro_seg.register  # noqa: F401  what configs name
    from infopro_seg.export import export

    written = export(args.checkpoint, args.out, format=args.format)
    if written.suffix == '.py':
        checkpoint = written.with_suffix('.pth')
        text = f'{checkpoint} and {written}: the stock library loads them strictly, with the same logits'
    else:
        text = f'{written} and {written.with_suffix(".json")}: the same logits as the checkpoint'
    sys.stdout.write(f'{text}\n')
