"""The command `tools/benchmark.py`: measures recipes, each for a few iterations in its own process."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from rich.progress import track

import infopro_seg
from infopro_seg.config_files import load_config
from infopro_seg.consoles import message_console
from infopro_seg.drawing.attempt import drawing
from infopro_seg.drawing.point_names import MARKERS, annotate
from infopro_seg.errors import UserError
from infopro_seg.files import write_text
from infopro_seg.markdown import markdown_table
from infopro_seg.memory.planning.plan import Plan
from infopro_seg.memory.planning.planner import Planner
from infopro_seg.memory.quantities import GIB, parse_bytes, parse_numbers, show_bytes, unit_for
from infopro_seg.memory.search.recipes import Recipe
from infopro_seg.memory.tracing.training_setup import TrainingSetup, training_setup
from infopro_seg.memory.variants import require_infopro
from infopro_seg.outputs import require_folder, require_own_results
from infopro_seg.precision import describe_tf32
from infopro_seg.strict_json import write_json

KINDS = {  # kinds of measured bytes; the first that was measured is compared with the prediction
    'allocated_bytes': 'peak allocated',
    'reserved_bytes': 'peak reserved',
    'live_bytes': 'peak alive',
}


@dataclass(frozen=True)
class BenchmarkRequest:
    """The arguments of the command, as the user wrote them; None stands for the config's own value.

    Args:
        config: the config file.
        out: folder of the results.
        batch: images per GPU.
        crop: height and width in pixels.
        amp: 'fp16' or 'bf16'.
        modules: numbers of local modules, e.g. `1-4`.
        iterations: number of measured iterations.
        max_crop: memory for which to find the largest crop, e.g. `11GiB`; None to find none.
        options: overrides of the config, `{'a.b': value}`.
    """

    config: Path
    out: Path
    batch: int | None = None
    crop: tuple[int, int] | None = None
    amp: str | None = None
    modules: str = '1-4'
    iterations: int = 10
    max_crop: str | None = None
    options: Mapping[str, Any] | None = None


def benchmark(request: BenchmarkRequest) -> list[dict[str, Any]]:
    """Measures recipes and writes `results.json`, `results.md` and `results.png`.

    Returns:
        One object per recipe: the prediction, as in `tools/plan.py --json`, and the measurements.

    Raises:
        UserError: an argument or the config is invalid.
    """
    console = message_console()
    budget = _checked_budget(request)
    if request.iterations < 1:
        raise UserError(f'--iterations is {request.iterations}; give 1 or more')
    modules = parse_numbers(request.modules)
    cfg = load_config(request.config, request.options)
    setup = training_setup(cfg, request.batch, request.crop, request.amp)
    require_infopro(cfg)
    require_own_results(require_folder(request.out), {'environment', 'recipes'})
    with console.status('predicting'):
        planner = Planner(cfg, setup)
        plan = planner.plan(modules)
    rows: list[dict[str, Any]] = []
    try:
        for recipe in track(plan.rows, description='measuring', console=console):
            measured = _measure(planner.configure(recipe), setup, request.iterations, budget)
            rows.append({**recipe.as_json(plan.reference, budget), 'measured': measured})
    finally:  # what was measured before an interrupt is kept
        if rows:
            environment = describe_environment(request, plan, cfg.get('env_cfg', {}))
            write_json(request.out / 'results.json', {'environment': environment, 'recipes': rows})
            write_text(request.out / 'results.md', markdown(environment, rows))
    if any('seconds' in row['measured'] for row in rows):
        with drawing(request.out / 'results.png', console.print):
            plot(plan.rows, rows, request.out / 'results.png')
    console.print((request.out / 'results.md').read_text(), markup=False, highlight=False, soft_wrap=True)
    return rows


def _checked_budget(request: BenchmarkRequest) -> int | None:
    """The bytes of `--max-crop`; None without it.

    Raises:
        UserError: there is no GPU, or the budget exceeds its memory.
    """
    if request.max_crop is None:
        return None
    budget = parse_bytes(request.max_crop)
    if not torch.cuda.is_available():
        raise UserError(
            '--max-crop tries crops on a GPU, but there is no GPU; tools/plan.py '
            '--max-crop predicts it without one'
        )
    total = torch.cuda.get_device_properties(0).total_memory
    if budget > total:
        raise UserError(
            f'--max-crop {request.max_crop} is more than the {show_bytes(total, total)} of this GPU; give '
            'less, or let tools/plan.py --max-crop predict it'
        )
    return budget


def _measure(cfg: Any, setup: TrainingSetup, iterations: int, budget: int | None) -> dict[str, Any]:
    """Runs one measurement in its own process, so that none inherits another's memory."""
    with tempfile.TemporaryDirectory() as folder:
        request, config = Path(folder) / 'request.json', Path(folder) / 'config.py'
        Config(dict(cfg)).dump(config)
        asked = {'config': str(config), 'setup': asdict(setup), 'iterations': iterations, 'budget': budget}
        request.write_text(json.dumps(asked))
        command = [sys.executable, '-W', 'ignore', '-m', 'infopro_seg.measure_process', str(request)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        answer = request.with_suffix('.answer.json')
        if not answer.is_file():
            return {'error': done.stderr.strip().rsplit('\n', 1)[-1] or f'exit status {done.returncode}'}
        found: dict[str, Any] = json.loads(answer.read_text())
        return found


def describe_environment(request: BenchmarkRequest, plan: Plan, env_cfg: Mapping[str, Any]) -> dict[str, Any]:
    """The environment of the measurements."""
    gpu = torch.cuda.is_available()
    return {
        'config': str(request.config),
        **({'options': dict(request.options)} if request.options else {}),
        'batch': plan.setup.batch,
        'crop': list(plan.setup.crop),
        'precision': plan.setup.amp or (f'fp32, {describe_tf32(env_cfg)}' if gpu else 'fp32'),
        'device': torch.cuda.get_device_name() if gpu else f'CPU, {torch.get_num_threads()} threads',
        'python': platform.python_version(),
        'torch': torch.__version__,
        'infopro_seg': infopro_seg.__version__,
        'date': date.today().isoformat(),
    }


def markdown(environment: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    """The results as a Markdown table, with separate columns for predictions and measurements."""
    unit = unit_for(max(row['peak_gib'] for row in rows) * GIB)
    kinds = [(key, name) for key, name in KINDS.items() if any(key in row['measured'] for row in rows)]
    names = ['recipe', f'predicted peak {unit.name}', *(f'{name} {unit.name}, measured' for _, name in kinds)]
    names += ['of predicted', 's per iteration', 'images per s']
    if any('max_crop' in row['measured'] for row in rows):
        names = [*names[:2], 'largest crop, measured']
    lines = [', '.join(f'{key}: {value}' for key, value in environment.items()), '']
    table = []
    for row in rows:
        measured = row['measured']
        predicted = row['peak_gib'] * GIB
        cells = [row['recipe'], unit.number(predicted)]
        if 'seconds' in measured:
            cells += [unit.number(measured[key]) for key, _ in kinds]
            spread = f'{measured["seconds_min"]:.3f}-{measured["seconds_max"]:.3f}'
            cells += [f'{measured[kinds[0][0]] / predicted:.3f}', f'{measured["seconds"]:.3f} ({spread})']
            cells.append(f'{measured["images_per_second"]:.2f}')
        elif 'error' in measured:
            cells.append(measured['error'])
        else:
            crop = measured['max_crop']
            cells.append('none' if crop is None else f'{crop[0]}x{crop[1]}')
        cells += [''] * (len(names) - len(cells))
        table.append(cells)
    return '\n'.join([*lines, markdown_table(names, table)])


def plot(recipes: Sequence[Recipe], rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draws measured time against measured memory."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pairs = [(recipe, row['measured']) for recipe, row in zip(recipes, rows, strict=True)]
    pairs = [(recipe, measured) for recipe, measured in pairs if 'seconds' in measured]
    kind = next(key for key in KINDS if key in pairs[0][1])
    unit = unit_for(max(measured[kind] for _, measured in pairs))
    figure = Figure(figsize=(8, 5))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for gradients, marker, label in MARKERS:
        chosen = [m for recipe, m in pairs if recipe.gradients == gradients]
        if chosen:
            axes.scatter(
                [m['seconds'] for m in chosen],
                [m[kind] / unit.size for m in chosen],
                marker=marker,
                label=label,
            )
    axes.set(xlabel='seconds per iteration, measured', ylabel=f'{KINDS[kind]} {unit.name}, measured')
    axes.margins(x=0.15, y=0.15)
    axes.set_ylim(0)
    axes.legend()
    annotate(axes, [(m['seconds'], m[kind] / unit.size, recipe.short_name) for recipe, m in pairs])
    figure.savefig(path, dpi=150, bbox_inches='tight')
