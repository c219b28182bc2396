"""Predict images: coloured overlays and label images.

Example:
  python tools/predict.py configs/infopro_demo.py work_dirs/demo/iter_700.pth street.png photos/ --out out
"""

from __future__ import annotations

import argparse

from mmengine.config import DictAction


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('images', nargs='+', metavar='IMAGE_OR_DIR')
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for the results')
    parser.add_argument('--device', help='cpu, cuda, ...; default: the GPU where there is one')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='overrides of the config'
    )
    args = parser.parse_args()

    import infopro_seg.register  # noqa: F401  what configs name
    from infopro_seg.predict import predict

    skipped = predict(args.config, args.checkpoint, args.images, args.out, args.device, args.cfg_options)
    return 1 if skipped else 0
