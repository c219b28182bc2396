"""Measure recipes side by side: each in its own process, with the prediction beside the measurement.

Examples:
  python tools/benchmark.py configs/deeplabv3_infopro_cityscapes.py --out work_dirs/benchmark
  python tools/benchmark.py configs/deeplabv3_infopro_cityscapes.py --out work_dirs/crops --max-crop 11GiB
"""

from __future__ import annotations

from pathlib import Path

from infopro_seg.options import add_cfg_options, add_precision, add_sizes, new_parser


def main() -> None:
    """Runs the command."""
    parser = new_parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--out', required=True, metavar='DIR', help='folder for results.json, results.md and results.png'
    )
    add_sizes(parser)
    add_precision(parser)
    parser.add_argument(
        '--modules', default='1-4', help='numbers of local modules, e.g. 4; default: %(default)s'
    )
    parser.add_argument('--iterations', type=int, default=10, help='measured iterations; default: 10')
    parser.add_argument(
        '--max-crop',
        metavar='BUDGET',
        help='find the largest crop that trains within this memory, e.g. 11GiB, by trying',
    )
    add_cfg_options(parser)
    args = parser.parse_args()

    import infopro_seg.register  # noqa: F401  what configs name
    from infopro_seg.memory.measuring.benchmark import BenchmarkRequest, benchmark
    from infopro_seg.training.checks.config_check import require_options_of

    require_options_of(args.config, args.cfg_options)
    benchmark(
        BenchmarkRequest(
            config=Path(args.config),
            out=Path(args.out),
            batch=args.batch,
            crop=tuple(args.crop) if args.crop else None,
            amp=args.amp,
            modules=args.modules,
            iterations=args.iterations,
            max_crop=args.max_crop,
            options=args.cfg_options,
        )
    )
