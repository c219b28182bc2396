"""Export a checkpoint for stock mmseg: without local heads, with a config of its own.

Example:
  python tools/export.py work_dirs/deeplabv3_infopro_cityscapes/iter_40000.pth --out plain.pth
"""

import argparse
import sys

from infopro_seg.cli import run


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='checkpoint of a training with InfoPro')
    parser.add_argument('--out', required=True, metavar='FILE.pth', help='the config goes to FILE.py')
    args = parser.parse_args()

    from infopro_seg.export import export

    config = export(args.checkpoint, args.out)
    sys.stdout.write(f'{args.out} and {config}: stock mmseg loads them strictly, with the same logits\n')


if __name__ == '__main__':
    run(main)
