"""Predict images: coloured overlays and label images; also large TIFFs, and videos.

A classifier writes classes.csv: the class of each image, and its score.

Examples:
  python tools/predict.py configs/infopro_demo.py work_dirs/demo/iter_700.pth street.png photos/ --out out
  python tools/predict.py CONFIG CHECKPOINT ortho.tif drive.mp4 --out out --batch 4 --half
  python tools/predict.py exported/model.onnx street.png --out out
"""

from __future__ import annotations

import argparse

from infopro_seg.options import add_cfg_options, new_parser

EXPORTED = '.onnx'


def main() -> int:
    """Runs the command."""
    parser = new_parser(
        __doc__,
        usage='%(prog)s CONFIG CHECKPOINT INPUT [INPUT ...] --out DIR [options]\n'
        '       %(prog)s MODEL.onnx INPUT [INPUT ...] --out DIR [options]',
    )
    parser.add_argument(
        'given',
        nargs='+',
        metavar='INPUT',
        help='config and checkpoint, or an exported .onnx; then images, TIFFs of any size, videos, folders '
        'of images',
    )
    parser.add_argument('--out', required=True, metavar='DIR', help='folder for the results')
    parser.add_argument('--device', help='cpu, cuda, ...; default: the GPU if there is one')
    parser.add_argument(
        '--batch',
        type=_count,
        default=1,
        metavar='N',
        help='compute N windows, or N images of the same size, at once',
    )
    parser.add_argument(
        '--half', action='store_true', help='half precision: float16 on a GPU, bfloat16 on a CPU'
    )
    parser.add_argument(
        '--no-resize',
        action='store_true',
        help="predict at the images' own resolution: skip the Resize of the test pipeline",
    )
    parser.add_argument('--video', action='store_true', help='each folder contains the frames of one video')
    parser.add_argument(
        '--fps',
        type=_rate,
        help="frames per second of overlay videos; default: the video's own, 25 for folders of frames",
    )
    add_cfg_options(parser)
    args = parser.parse_args()
    config, *rest = args.given
    checkpoint = None if config.lower().endswith(EXPORTED) or not rest else rest.pop(0)
    if not rest:
        parser.error('give CONFIG and CHECKPOINT, or MODEL.onnx, and at least one image, folder or video')

    if checkpoint is not None:
        import infopro_seg.register  # noqa: F401  what configs name
        from infopro_seg.training.checks.config_check import require_options_of

        require_options_of(config, args.cfg_options)
    from infopro_seg.predict import predict
    from infopro_seg.prediction.ways import Ways

    ways = Ways(args.half, args.batch, not args.no_resize, args.video, args.fps)
    skipped = predict(config, checkpoint, rest, args.out, args.device, args.cfg_options, ways)
    return 1 if skipped else 0


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text} is not a whole number above 0')
    return int(text)


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1000:
        raise argparse.ArgumentTypeError(f'{text} is not a number of frames per second')
    return value
