"""Times training iterations of several recipes side by side, in one process, one after the other in turn.

Each round trains every recipe for one iteration, in an order that rotates, so that the machine's changes of
speed meet all alike. CPU seconds of the process count, with one thread: they are what the recipe computes,
also where other programs share the machine.

Example:
  python docs/benchmarks/time/measure.py --encoder r50 --crop 256 512 --batch 2 --rounds 7 --out r50.json
"""

from __future__ import annotations

import argparse
import copy
import platform
import statistics
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from rich.console import Console

import infopro_seg.register  # noqa: F401
from infopro_seg.config_files import load_config
from infopro_seg.memory.measuring.measure import Trial
from infopro_seg.memory.search.partition import balanced
from infopro_seg.memory.search.recipe_search import RecipeSearch
from infopro_seg.memory.search.recipes import make_recipe
from infopro_seg.memory.tracing.training_setup import TrainingSetup, training_setup
from infopro_seg.memory.variants import stock_losses, without_cuts
from infopro_seg.strict_json import write_json

WARM_UP = 2  # iterations of each recipe; compilation happens here
CONSOLE = Console(stderr=True)


def config(encoder: str) -> Config:
    """The lean network on Cityscapes with a ResNet of another depth, plain SGD."""
    cfg = load_config('configs/deeplabv3_r50_infopro_cityscapes.py')
    backbone = cfg.model.backbone
    backbone.checkpoint_heads = True
    if encoder == 'r18':
        backbone.encoder.depth = 18
        backbone.cuts = ('layer3.0',)
    widest = 512 if encoder == 'r18' else 2048
    cfg.model.decode_head.in_channels, cfg.model.auxiliary_head.in_channels = widest, widest // 2
    cfg.optim_wrapper = {'type': 'OptimWrapper', 'optimizer': {'type': 'SGD', 'lr': 1e-3, 'momentum': 0.9}}
    return cfg


def stock(cfg: Config) -> Config:
    """The same network as mmsegmentation trains it, without a part of this package."""
    made = Config(stock_losses(without_cuts(cfg)))
    made.model.type = 'EncoderDecoder'
    made.model.backbone = made.model.backbone.encoder
    return made


def compiled(cfg: Any) -> Any:
    """A config with compiled blocks."""
    cfg = copy.deepcopy(cfg)
    cfg['model']['backbone']['compile_blocks'] = True
    return cfg


def channels_last(cfg: Any) -> Any:
    """A config whose convolutions store channels last."""
    cfg = copy.deepcopy(cfg)
    cfg['model']['channels_last'] = True
    return cfg


def arms(
    cfg: Config, setup: TrainingSetup, also: dict[str, Callable[[Any], Any]]
) -> dict[str, tuple[Any, float]]:
    """Of each recipe the config, and its FLOPs relative to stock mmsegmentation's.

    Args:
        cfg: the lean network.
        setup: batch and crop.
        also: changes of the config to measure K = 1 and K = 4 with as well, by name.
    """
    with CONSOLE.status('planning'):
        planner = RecipeSearch(cfg, setup)
        reference, costs = planner.reference, planner.costs(planner.own_heads)
        plain = {
            modules: make_recipe(costs.chain, balanced(costs, modules), planner.own_heads, '')
            for modules in (1, 2, 4)
        }
        exact = {limit: planner.below(1, limit) for limit in (1.05, 1.2)}
    chosen = {
        'K = 1, lean losses': plain[1],
        'exact, FLOPs at most 1.05': exact[1.05],
        'exact, FLOPs at most 1.20': exact[1.2],
        'K = 2, lean': plain[2],
        'K = 4, lean': plain[4],
    }
    found: dict[str, tuple[Any, float]] = {
        'stock mmsegmentation': (stock(cfg), 1.0),
        'K = 1, stock losses': (Config(stock_losses(without_cuts(cfg))), 1.0),
    }
    for name, recipe in chosen.items():
        found[name] = planner.configure(recipe), recipe.flops / reference.flops
    for what, changed in also.items():
        for name in ('K = 1, lean losses', 'K = 4, lean'):
            made, flops = found[name]
            found[f'{name}, {what}'] = changed(made), flops
    return found


def in_turn(steps: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """CPU and wall seconds of each iteration of each recipe."""
    names, taken = list(steps), {name: [] for name in steps}
    for number in range(-WARM_UP, rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            wall, cpu = time.perf_counter(), time.process_time()
            steps[name]()
            seconds = time.process_time() - cpu, time.perf_counter() - wall
            if number >= 0:
                taken[name].append(seconds)
        CONSOLE.print(f'round {number + 1} of {rounds}')
    return taken


def main() -> None:
    """Measures, and writes JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--encoder', choices=('r18', 'r50'), default='r50')
    parser.add_argument('--crop', type=int, nargs=2, default=(256, 512), metavar=('H', 'W'))
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--compiled', action='store_true', help='also with compiled blocks')
    parser.add_argument('--channels-last', action='store_true', help='also with channels last in memory')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE')
    args = parser.parse_args()

    torch.set_num_threads(1)
    cfg = config(args.encoder)
    setup = training_setup(cfg, args.batch, tuple(args.crop), None)
    also = {
        'compiled blocks': compiled if args.compiled else None,
        'channels last': channels_last if args.channels_last else None,
    }
    recipes = arms(cfg, setup, {what: change for what, change in also.items() if change is not None})
    trials = {name: Trial(made, setup) for name, (made, _) in recipes.items()}
    taken = in_turn({name: trial.step for name, trial in trials.items()}, args.rounds)
    first = [cpu for cpu, _ in taken['stock mmsegmentation']]
    rows = []
    for name, seconds in taken.items():
        ratios = [cpu / reference for (cpu, _), reference in zip(seconds, first, strict=True)]
        rows.append(
            {
                'recipe': name,
                'flops_of_stock': recipes[name][1],
                'cpu_seconds': [round(cpu, 4) for cpu, _ in seconds],
                'wall_seconds': [round(wall, 4) for _, wall in seconds],
                'cpu_of_stock_median': statistics.median(ratios),
                'cpu_of_stock_min': min(ratios),
                'cpu_of_stock_max': max(ratios),
            }
        )
    write_json(
        args.out,
        {
            'encoder': args.encoder,
            'crop': list(args.crop),
            'batch': args.batch,
            'threads': 1,
            'processor': platform.processor() or platform.machine(),
            'python': platform.python_version(),
            'torch': torch.__version__,
            'date': date.today().isoformat(),
            'recipes': rows,
        },
    )
    for row in rows:
        low, high = row['cpu_of_stock_min'], row['cpu_of_stock_max']
        CONSOLE.print(
            f'{row["recipe"]:36} FLOPs {row["flops_of_stock"]:.3f}, '
            f'CPU time {row["cpu_of_stock_median"]:.3f} ({low:.3f} to {high:.3f})'
        )


if __name__ == '__main__':
    main()
