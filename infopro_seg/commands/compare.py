"""Train the methods of the paper side by side and compare what they learn.

Repeat the command to resume: finished trainings are kept. The results of all finished trainings go into DIR:
results.json, table.md, curves.png and memory.png.

Examples:
  python tools/compare.py --suite smoke --out work_dirs/compare_smoke
  python tools/compare.py --suite cpu --seeds 0 1 2 --jobs 2 --out work_dirs/compare_cpu
"""

from __future__ import annotations

import sys
from pathlib import Path

from infopro_seg.config_files import shipped_configs
from infopro_seg.options import new_parser


def main() -> int:
    """Runs the command."""
    parser = new_parser(__doc__)
    parser.add_argument(
        '--suite',
        required=True,
        help='smoke, cpu, streets, camvid or another one of configs/compare, or the path of your own suite',
    )
    parser.add_argument('--out', required=True, type=Path, metavar='DIR', help='folder for runs and results')
    parser.add_argument(
        '--methods',
        nargs='+',
        metavar='NAME',
        help='methods, as named in configs/compare/methods.py; default: those of the suite',
    )
    parser.add_argument(
        '--modules', nargs='+', type=int, metavar='K', help="numbers of local modules; default: the suite's"
    )
    parser.add_argument(
        '--seeds', nargs='+', type=int, metavar='SEED', help="random seeds; default: the suite's"
    )
    parser.add_argument(
        '--jobs',
        type=int,
        default=1,
        help='number of trainings at once, on shared cores or one GPU; default: 1',
    )
    parser.add_argument(
        '--report-only',
        action='store_true',
        help='train nothing; write the results so far, of all runs, or of E2E and those asked for',
    )
    parser.add_argument(
        '--with',
        dest='others',
        nargs='+',
        type=Path,
        default=[],
        metavar='FILE',
        help='add the runs of these results.json, of the same suite trained elsewhere',
    )
    args = parser.parse_args()

    import infopro_seg.register  # noqa: F401  what configs name
    from infopro_seg.comparison.command import CompareRequest, compare
    from infopro_seg.comparison.suite import find_suite

    request = CompareRequest(
        suite=find_suite(args.suite, shipped_configs() / 'compare'),
        out=args.out,
        methods=args.methods,
        modules=args.modules,
        seeds=args.seeds,
        jobs=args.jobs,
        report_only=args.report_only,
        others=args.others,
    )
    return compare(request, lambda line: print(line, file=sys.stderr, flush=True))
