"""Predict the memory of a training, without a GPU, and choose a recipe that fits.

Examples:
  python tools/plan.py configs/deeplabv3_infopro_cityscapes.py
  python tools/plan.py configs/deeplabv3_infopro_async_cityscapes.py   (the memory of each stage)
  python tools/plan.py configs/deeplabv3_infopro_cityscapes.py --budget 11GiB --write-config configs/mine.py
  python tools/plan.py configs/deeplabv3_infopro_cityscapes.py --module-parallel --budgets 8GiB 24GiB
  python tools/plan.py configs/deeplabv3_infopro_cityscapes.py --inference --size 1024 2048 --budget 4GiB
"""

from __future__ import annotations

import argparse
from pathlib import Path

from infopro_seg.errors import UserError
from infopro_seg.options import add_cfg_options, add_precision, add_sizes, new_parser

OUTPUTS = ('json', 'plot', 'write_config')


def main() -> int:
    """Runs the command."""
    parser = new_parser(__doc__)
    parser.add_argument('config', help='config file')
    parser.add_argument('--budget', help='memory limit, e.g. 11GiB: recommend recipes that fit it')
    add_sizes(parser)
    add_precision(parser)
    parser.add_argument(
        '--modules', help='numbers of local modules, e.g. 4 or 1,4,6-8; default: 1-8, as far as possible'
    )
    parser.add_argument(
        '--max-crop', action='store_true', help='with --budget: find the largest crop of each recipe'
    )
    parser.add_argument(
        '--max-batch', action='store_true', help='with --budget: find the largest batch of each recipe'
    )
    parser.add_argument(
        '--inference', action='store_true', help='plan prediction and validation instead of training'
    )
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        metavar=('H', 'W'),
        help="with --inference: height and width of the image in pixels; default: the crop's",
    )
    parser.add_argument(
        '--tta', action='store_true', help='with --inference: average scales and flips, as test.py --tta does'
    )
    parser.add_argument(
        '--module-parallel',
        action='store_true',
        help='plan one process per local module: what each needs and sends, and how fast they are together',
    )
    parser.add_argument(
        '--budgets',
        nargs='+',
        metavar='MEMORY',
        help='with --module-parallel: the memory of the GPU of each local module, in their order, '
        'e.g. 8GiB 24GiB; rank 0 trains the last module, on the first GPU',
    )
    parser.add_argument('--json', metavar='FILE', help='write the recipes to this JSON file; - for stdout')
    parser.add_argument('--plot', metavar='FILE', help='draw memory against FLOPs into this picture')
    parser.add_argument('--write-config', metavar='FILE', help='write a config with the recommended recipe')
    add_cfg_options(parser)
    args = parser.parse_args()

    import infopro_seg.register  # noqa: F401  what configs name
    from infopro_seg.consoles import log_to_stderr
    from infopro_seg.training.checks.config_check import require_options_of

    if args.json == '-':
        log_to_stderr()
    require_options_of(args.config, args.cfg_options)
    if args.module_parallel:
        return _plan_module_parallel(args)
    if args.budgets:
        raise UserError('--budgets gives each process its own; add --module-parallel, or give one --budget')
    if args.inference:
        return _plan_inference(args)
    if args.size or args.tta:
        raise UserError('--size and --tta are for predictions; add --inference')
    from infopro_seg.memory.planning.command import PlanRequest, plan

    paths = {name: Path(value) if value else None for name, value in vars(args).items() if name in OUTPUTS}
    request = PlanRequest(
        config=Path(args.config),
        budget=args.budget,
        batch=args.batch,
        crop=tuple(args.crop) if args.crop else None,
        amp=args.amp,
        modules=args.modules,
        max_crop=args.max_crop,
        max_batch=args.max_batch,
        options=args.cfg_options,
        **paths,
    )
    return plan(request)


def _plan_module_parallel(args: argparse.Namespace) -> int:
    from infopro_seg.memory.planning.command import PlanModuleParallelRequest, plan_module_parallel

    for option in ('inference', 'size', 'tta', 'budget', 'max_crop', 'max_batch', 'plot', 'write_config'):
        if getattr(args, option):
            raise UserError(
                f'--{option.replace("_", "-")} cannot be combined with --module-parallel; leave one out'
            )
    crop = tuple(args.crop) if args.crop else None
    json = Path(args.json) if args.json else None
    return plan_module_parallel(
        PlanModuleParallelRequest(
            Path(args.config), args.batch, crop, args.amp, args.modules, args.budgets, json, args.cfg_options
        )
    )


def _plan_inference(args: argparse.Namespace) -> int:
    from infopro_seg.memory.inference.inference_plan import PlanInferenceRequest, plan_inference

    for option in ('max_crop', 'max_batch', 'plot', 'write_config', 'crop', 'batch', 'modules'):
        if getattr(args, option):
            raise UserError(
                f'--{option.replace("_", "-")} is for trainings; leave it out, or leave out --inference'
            )
    size = tuple(args.size) if args.size else None
    json = Path(args.json) if args.json else None
    return plan_inference(
        PlanInferenceRequest(Path(args.config), size, args.amp, args.tta, args.budget, json, args.cfg_options)
    )
