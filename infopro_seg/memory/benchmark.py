"""What `tools/benchmark.py` does: recipes side by side, each trained for a few steps in its own process."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

import infopro_seg
from infopro_seg.cli import load_config
from infopro_seg.errors import UserError
from infopro_seg.memory.planner import Plan, Planner, stock_losses
from infopro_seg.memory.profile import without_cuts
from infopro_seg.memory.recipes import Recipe
from infopro_seg.memory.setup import training_setup
from infopro_seg.memory.units import GIB, parse_bytes, parse_range


@dataclass(frozen=True)
class BenchmarkRequest:
    """The arguments of the command, as the user wrote them."""

    config: Path
    out: Path
    batch: int | None = None
    crop: tuple[int, int] | None = None
    amp: str | None = None
    modules: str = '1-4'
    iterations: int = 10
    max_crop: str | None = None


def benchmark(request: BenchmarkRequest) -> list[dict[str, Any]]:
    """Measures recipes and writes `results.json`, `results.md` and `results.png`.

    Returns:
        One object per recipe: the prediction, as `tools/plan.py --json` writes it, and what was measured.

    Raises:
        UserError: an argument or the config asks for what cannot be.
    """
    console = Console(stderr=True)
    budget = None if request.max_crop is None else parse_bytes(request.max_crop)
    if budget is not None and not torch.cuda.is_available():
        raise UserError(
            '--max-crop finds the largest crop by trial on a GPU, and there is none; tools/plan.py '
            '--max-crop predicts it without one'
        )
    if request.iterations < 1:
        raise UserError(f'--iterations is {request.iterations}; give 1 or more')
    cfg = load_config(request.config)
    setup = training_setup(cfg, request.batch, request.crop, request.amp)
    with console.status('predicting'):
        planner = Planner(cfg, setup)
        plan = planner.plan(parse_range(request.modules))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for recipe in track(plan.rows, description='measuring', console=console):
            chosen = stock_losses(without_cuts(cfg)) if recipe.stock else planner.configure(recipe)
            path = Path(folder) / 'request.json'
            chosen_path = path.with_suffix('.py')
            type(cfg)(dict(chosen)).dump(chosen_path)
            path.write_text(
                json.dumps(
                    {
                        'config': str(chosen_path),
                        'batch': setup.batch,
                        'crop': setup.crop,
                        'amp': setup.amp,
                        'iterations': request.iterations,
                        'budget': budget,
                    }
                )
            )
            rows.append({**recipe.as_json(plan.reference, budget), 'measured': _measure(path)})
    environment = describe_environment(request, plan)
    request.out.mkdir(parents=True, exist_ok=True)
    content = {'environment': environment, 'recipes': rows}
    (request.out / 'results.json').write_text(json.dumps(content, indent=2) + '\n')
    (request.out / 'results.md').write_text(markdown(environment, rows))
    plot(plan.rows, rows, request.out / 'results.png')
    console.print((request.out / 'results.md').read_text(), markup=False, highlight=False, soft_wrap=True)
    return rows


def _measure(request: Path) -> dict[str, Any]:
    """Runs one measurement in a process of its own, so that none inherits another's memory."""
    answer = request.with_suffix('.answer.json')
    answer.unlink(missing_ok=True)
    command = [sys.executable, '-W', 'ignore', '-m', 'infopro_seg.memory.measure', str(request)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not answer.is_file():
        return {'error': done.stderr.strip().rsplit('\n', 1)[-1] or f'exit status {done.returncode}'}
    found: dict[str, Any] = json.loads(answer.read_text())
    return found


def describe_environment(request: BenchmarkRequest, plan: Plan) -> dict[str, Any]:
    """What the figures were measured with."""
    gpu = torch.cuda.is_available()
    return {
        'config': str(request.config),
        'batch': plan.setup.batch,
        'crop': list(plan.setup.crop),
        'precision': plan.setup.amp or ('fp32, TF32 on' if gpu else 'fp32'),
        'device': torch.cuda.get_device_name() if gpu else f'CPU, {torch.get_num_threads()} threads',
        'python': platform.python_version(),
        'torch': torch.__version__,
        'infopro_seg': infopro_seg.__version__,
        'date': date.today().isoformat(),
    }


def markdown(environment: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    """The results as a Markdown table; predicted and measured figures in columns of their own."""
    gpu = any('allocated_bytes' in row['measured'] for row in rows)
    kinds = (
        [('allocated GiB, measured', 'allocated_bytes'), ('reserved GiB, measured', 'reserved_bytes')]
        if gpu
        else [('saved for backward GiB, measured', 'saved_for_backward_bytes')]
    )
    names = ['recipe', 'peak GiB, traced', *(name for name, _ in kinds), 's per iteration', 'images per s']
    lines = [', '.join(f'{key}: {value}' for key, value in environment.items()), '']
    lines += ['| ' + ' | '.join(names) + ' |', '|---' + '|---:' * (len(names) - 1) + '|']
    for row in rows:
        measured = row['measured']
        cells = [row['recipe'], f'{row["peak_gib"]:.2f}']
        if 'seconds' in measured:
            cells += [f'{measured[key] / GIB:.2f}' for _, key in kinds]
            spread = f'{measured["seconds_min"]:.3f}-{measured["seconds_max"]:.3f}'
            cells += [f'{measured["seconds"]:.3f} ({spread})', f'{measured["images_per_second"]:.2f}']
        else:
            cells.append(measured.get('error') or f'largest crop {measured["max_crop"]}')
            cells += [''] * (len(names) - len(cells))
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def plot(recipes: Sequence[Recipe], rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draws measured time against measured memory."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    label = 'saved for backward'
    for recipe, row in zip(recipes, rows, strict=True):
        measured = row['measured']
        if 'seconds' not in measured:
            continue
        if 'allocated_bytes' in measured:
            label = 'peak allocated'
        size = measured.get('allocated_bytes', measured.get('saved_for_backward_bytes')) / GIB
        axes.scatter(measured['seconds'], size, marker='^' if recipe.checkpointed else 'o', color='C0')
        axes.annotate(
            recipe.name, (measured['seconds'], size), xytext=(4, 4), textcoords='offset points', fontsize=7
        )
    axes.set(xlabel='seconds per iteration, measured', ylabel=f'{label}, GiB, measured', ylim=(0, None))
    figure.savefig(path, dpi=150, bbox_inches='tight')
