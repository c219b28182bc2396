"""Host time of a training iteration: the recipes of `prepare.py`, with next to no arithmetic.

The network has all its operations, but two channels in its stem and images of 32x64 pixels. One CPU thread,
each recipe for one iteration in turn; CPU seconds of the process.

Example:
  python docs/benchmarks/gpu/host.py work_dirs/gpu/fp32 --names 00 01 15 16 --out FILE
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from datetime import date
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

import infopro_seg.register  # noqa: F401
from infopro_seg.memory.measuring.measure import Trial
from infopro_seg.memory.tracing.training_setup import TrainingSetup
from infopro_seg.strict_json import write_json

BASE = 2  # channels of the stem and of the first stage's bottlenecks, instead of 64
HEAD = 8  # channels of the heads
SIZE = (32, 64)


def thin(cfg: Any) -> Any:
    """The same operations on two channels."""
    model = cfg.model
    encoder = model.backbone.encoder
    encoder.update(base_channels=BASE, stem_channels=BASE, norm_cfg={'type': 'BN', 'requires_grad': True})
    for name in ('decode_head', 'auxiliary_head'):
        if model.get(name):
            head = model[name]
            head.channels = HEAD
            if 'in_channels' in head:
                head.in_channels = head.in_channels * BASE // 64
    if model.backbone.get('local_head'):
        model.backbone.local_head.auxiliary_head.channels = HEAD
    model.data_preprocessor.size = SIZE
    return cfg


def main() -> None:
    """Measures, and writes JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('folder', type=Path)
    parser.add_argument('--names', nargs='+', required=True)
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--out', type=Path, required=True, metavar='FILE')
    args = parser.parse_args()

    torch.set_num_threads(1)
    setup = TrainingSetup(batch=2, crop=SIZE, amp=None, accumulation=1)
    trials, recipes = {}, {}
    for name in args.names:
        recipes[name] = json.loads((args.folder / f'{name}.json').read_text())['predicted']['recipe']
        trials[name] = Trial(thin(Config.fromfile(args.folder / f'{name}.py')), setup)
        trials[name].warm_up()
    taken: dict[str, list[float]] = {name: [] for name in trials}
    for _ in range(args.rounds):
        for name, trial in trials.items():
            start = time.process_time()
            trial.step()
            taken[name].append(time.process_time() - start)
    rows = [
        {
            'recipe': recipes[name],
            'cpu_seconds_median': round(statistics.median(seconds), 4),
            'cpu_seconds_min': round(min(seconds), 4),
            'cpu_seconds_max': round(max(seconds), 4),
        }
        for name, seconds in taken.items()
    ]
    machine = {'python': platform.python_version(), 'torch': torch.__version__}
    write_json(
        args.out, {'rounds': args.rounds, 'date': date.today().isoformat(), **machine, 'recipes': rows}
    )
    for row in rows:
        print(row)


if __name__ == '__main__':
    main()
