"""Train a segmentor or an image classifier.

Examples:
  python tools/train.py configs/deeplabv3_infopro_cityscapes.py
  python tools/train.py configs/deeplabv3_infopro_cityscapes.py --resume
  python tools/train.py configs/deeplabv3_infopro_async_cityscapes.py --stage 0
  python tools/train.py configs/deeplabv3_infopro_lean_cityscapes.py --fit 11GiB
"""

from __future__ import annotations

import os
import sys

from infopro_seg.cli import INTERRUPTED
from infopro_seg.errors import UserError
from infopro_seg.options import add_cfg_options, add_launcher, new_parser


def main() -> int:
    """Runs the command."""
    parser = new_parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='where checkpoints and logs go; default work_dirs/<config>')
    parser.add_argument(
        '--resume',
        nargs='?',
        const=True,
        default=False,
        metavar='CKPT',
        help='continue the latest run in the work dir, or this checkpoint',
    )
    parser.add_argument(
        '--stage',
        type=int,
        metavar='N',
        help="train only this one of the config's stages, counted from 0; the one before must be finished; "
        'default: all stages in turn',
    )
    parser.add_argument(
        '--fit',
        metavar='BUDGET',
        help='plan first, then train with the cheapest recipe that fits this memory, e.g. 11GiB; '
        'auto: nine tenths of the free memory of the GPU',
    )
    parser.add_argument(
        '--fit-exact-flops',
        type=float,
        metavar='SHARE',
        help='with --fit: use a recipe with exact gradients if it needs at most this many times the FLOPs of '
        'plain end-to-end training, else one with local losses; default: 1.2, or that of the resumed run',
    )
    parser.add_argument(
        '--module-parallel',
        action='store_true',
        help='train each local module in a process of its own, all at once; start as many processes as there '
        'are modules, or a multiple: tools/dist_train.sh CONFIG 2 --module-parallel',
    )
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument('--seed', type=int, help='random seed; makes the run repeatable')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate to the real total batch size',
    )
    add_cfg_options(parser)
    add_launcher(parser, 'dist_train.sh')
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))

    if args.fit_exact_flops is not None and args.fit is None:
        raise UserError('--fit-exact-flops chooses among the recipes of --fit; add e.g. --fit 11GiB')

    import infopro_seg.register  # noqa: F401  what configs name
    from infopro_seg.hooks.early_stop import is_finished
    from infopro_seg.training.launch import train
    from infopro_seg.training.memory_budget.fitting import FitRequest

    runner = train(
        args.config,
        work_dir=args.work_dir,
        resume=args.resume,
        amp=args.amp,
        seed=args.seed,
        auto_scale_lr=args.auto_scale_lr,
        options=args.cfg_options,
        launcher=args.launcher,
        stage=args.stage,
        fit=None if args.fit is None else FitRequest(args.fit, args.fit_exact_flops),
        command=sys.argv,
        module_parallel=args.module_parallel,
    )
    return 0 if is_finished(runner) else INTERRUPTED
