"""Writes what `measure.py` measures: the recipes of the plans in fp32 and bf16, each with its prediction.

Planning takes a CPU some minutes, so it runs before a GPU is taken.

Example:
  python docs/benchmarks/gpu/prepare.py --out work_dirs/gpu
"""

from __future__ import annotations

import argparse
import copy
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmengine.config import Config
from rich.console import Console

import infopro_seg.register  # noqa: F401
from infopro_seg.config_files import load_config
from infopro_seg.memory.planning.planner import Planner
from infopro_seg.memory.tracing.training_setup import TrainingSetup, training_setup

CONFIG = 'configs/deeplabv3_infopro_lean_cityscapes.py'
BATCH, CROP = 4, (512, 1024)
VARIANTS = {  # options of the model, measured for end-to-end training and K = 4
    'channels_last': {'channels_last': True},
    'compile_blocks': {'backbone': {'compile_blocks': True}},
}


def main() -> None:
    """Plans, and writes one folder of requests for each precision."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--config', default=CONFIG)
    parser.add_argument('--out', type=Path, required=True, metavar='DIR')
    args = parser.parse_args()

    console = Console(stderr=True)
    for amp in (None, 'bf16'):
        cfg = load_config(args.config)
        setup = training_setup(cfg, BATCH, CROP, amp)
        planner = Planner(cfg, setup, console.print)
        plan = planner.plan(range(1, 9))
        folder = args.out / (amp or 'fp32')
        folder.mkdir(parents=True, exist_ok=True)
        for number, recipe in enumerate(plan.rows):
            predicted = recipe.as_json(plan.reference, None)
            request(folder, f'{number:02}', planner.configure(recipe), setup, predicted)
        chosen = {row.name: row for row in plan.rows if row.name in ('E2E', 'InfoPro* K=4')}
        for name, changes in VARIANTS.items():
            for recipe in chosen.values():
                changed = Config(copy.deepcopy(dict(planner.configure(recipe))))
                changed.merge_from_dict({'model': changes})
                label = {'recipe': f'{recipe.name}, {name}'}
                request(folder, f'{name}_k{recipe.modules}', changed, setup, label)


def request(folder: Path, name: str, cfg: Any, setup: TrainingSetup, predicted: dict[str, Any]) -> None:
    """Writes a config and what is asked of it."""
    Config(dict(cfg)).dump(folder / f'{name}.py')
    asked = {'setup': asdict(setup), 'predicted': predicted}
    (folder / f'{name}.json').write_text(json.dumps(asked, indent=1))


if __name__ == '__main__':
    main()
