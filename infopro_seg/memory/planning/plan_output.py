"""A plan as a table, a picture, JSON and config lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from rich.table import Table

from infopro_seg.consoles import new_table
from infopro_seg.drawing.point_names import MARKERS, annotate
from infopro_seg.memory.planning.plan import Plan, exact_only
from infopro_seg.memory.planning.planned_config import planned_changes
from infopro_seg.memory.planning.validation import Validation
from infopro_seg.memory.quantities import fits_text, show_bytes, unit_for
from infopro_seg.memory.search.recipes import OPTIMIZER, Recipe
from infopro_seg.memory.tracing.training_setup import TrainingSetup

TEXTS = ('recipe', 'gradients', 'accuracy', 'cuts')  # columns that are not numbers

UNKNOWN = (
    'is not known for this network. On photographs, a small network ended behind end-to-end training: by 0.2 '
    'points with K = 2 and an auxiliary head in its last module; with K = 4 by 0.0 in stages, 0.3 with '
    'overlap=1, and 1.4 with no extra; by 0.9 to 2.0 with K = 8. See docs/results.md.'
)
"""What is said of the accuracy of a recommended local recipe that nobody has measured."""


def plan_table(plan: Plan) -> Table:
    """The recipes of a plan as a table; the cheapest ones within the budget are bold."""
    unit = unit_for(plan.reference.peak)
    budget = '' if plan.budget is None else f', budget {show_bytes(plan.budget, plan.reference.peak)}'
    columns = ['recipe', 'gradients', f'peak {unit.name}', 'of E2E', 'FLOPs of E2E', 'accuracy', 'fits']
    columns += ['largest crop'] * plan.with_crops + ['largest batch'] * plan.with_batches + ['cuts']
    table = new_table(f'Predicted peak memory: {plan.setup}{budget}', columns, TEXTS)
    for recipe in plan.rows:
        row = [
            recipe.name,
            recipe.gradients,
            unit.number(recipe.peak),
            f'{recipe.peak / plan.reference.peak:.3f}',
            f'{recipe.flops / plan.reference.flops:.3f}',
            recipe.accuracy or '-',
            fits_text(recipe.peak, plan.budget),
        ]
        if plan.with_crops:
            row.append('-' if recipe.max_crop is None else f'{recipe.max_crop[0]}x{recipe.max_crop[1]}')
        if plan.with_batches:
            row.append('-' if recipe.max_batch is None else str(recipe.max_batch))
        chosen = recipe in plan.named
        table.add_row(*row, ' '.join(recipe.cuts), style='bold' if chosen else None)
    return table


def advice(plan: Plan, cfg: Config) -> str:
    """Which recipe to choose and how to change the config; or why nothing fits."""
    about = _choice(plan, cfg) if plan.budget is not None else ''
    missing = exact_only(cfg)
    return '\n\n'.join(filter(None, (about, missing and f'{missing}.')))


def _choice(plan: Plan, cfg: Config) -> str:
    best, reference = plan.recommended, plan.reference.peak
    if best is None:
        small = plan.smallest
        amp = '' if plan.setup.amp else ' --amp,'
        smaller = f'a smaller --batch or --crop,{amp} or cheaper heads'
        if small.bound == OPTIMIZER:
            smaller = 'a smaller model or an optimizer whose step needs less memory'
        return (
            f'{plan.verdict} The smallest peak found is {show_bytes(small.peak, reference)}, '
            f'{small.name}; it is bound by {small.bound}. '
            f'Use {smaller}.'
        )
    unknown = best.gradients == 'local' and best.accuracy is None
    found = [f'{plan.verdict} The accuracy of {best.name} {UNKNOWN}' if unknown else plan.verdict]
    for recipe in plan.named:
        what = 'Recommended' if recipe == best else 'Or'
        found.append(f'{what}: {recipe.name}\n{config_lines(cfg, recipe, plan.setup)}')
    return '\n\n'.join(found)


def config_lines(cfg: Config, recipe: Recipe, setup: TrainingSetup) -> str:
    """The lines that make a config train a recipe; with batch, crop and precision where they change."""
    changes = planned_changes(cfg, recipe, setup)
    model, loader = changes.get('model', {}), changes.get('train_dataloader', {})
    own = cfg.model.backbone  # an option that the recipe does without must be reset
    options = {'cuts': recipe.cuts, **model.get('backbone', {})}
    shown = {key: value for key, value in options.items() if key == 'cuts' or value or key in own}
    lines = ''.join(f'    {key}={value!r},\n' for key, value in shown.items())
    text = f'model = dict(backbone=dict(\n{lines}))'
    sizes = ['model.data_preprocessor.size'] * ('data_preprocessor' in model)
    sizes += ['crop_size of RandomCrop'] * ('dataset' in loader)
    if sizes:
        text += f'\n{" and ".join(sizes)}: {setup.crop}'
    if 'batch_size' in loader:
        text += f'\ntrain_dataloader = dict(batch_size={setup.batch})'
    if 'optim_wrapper' in changes:
        settings = ', '.join(
            f'{key}={value!r}' for key, value in changes['optim_wrapper'].items() if key != '_delete_'
        )
        text += f'\noptim_wrapper = dict({settings})'
    return text


def plan_rows(plan: Plan, validation: Validation | None = None) -> list[dict[str, Any]]:
    """The recipes of a plan for `--json`; each row repeats what a validation takes."""
    added = {} if validation is None else validation.as_json(plan.budget)
    rows: list[dict[str, Any]] = []
    for recipe in plan.rows:
        row = recipe.as_json(plan.reference, plan.budget)
        chosen = {'recommended': recipe == plan.recommended, 'cheapest_local': recipe == plan.local}
        rows.append({**row, **chosen, **added})
    return rows


def plot_plan(plan: Plan, path: Path) -> None:
    """Draws memory against FLOPs, with the recipes that no other beats in both joined by a line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7))
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    unit = unit_for(plan.reference.peak)
    points = [(r.flops / plan.reference.flops, r.peak / unit.size, r) for r in plan.rows]
    for gradients, marker, label in MARKERS:
        chosen = [(x, y) for x, y, recipe in points if recipe.gradients == gradients]
        if chosen:
            axes.scatter(*zip(*chosen, strict=True), marker=marker, label=label)
    for gradients, style in (('exact', ':'), ('local', '-')):
        front = pareto([(x, y) for x, y, recipe in points if recipe.gradients == gradients])
        if len(front) > 1:
            line: dict[str, Any] = {'color': 'grey', 'linewidth': 1, 'linestyle': style, 'zorder': 0}
            axes.plot(*zip(*front, strict=True), label=f'best {gradients}', **line)
    if plan.budget is not None:
        axes.axhline(plan.budget / unit.size, color='C3', linestyle='--', linewidth=1, label='budget')
    axes.set(xlabel='FLOPs of E2E', ylabel=f'predicted peak, {unit.name}', title=str(plan.setup))
    axes.margins(x=0.1, y=0.1)
    axes.set_ylim(0)
    axes.legend()
    named = sorted(points, key=lambda point: (point[2].modules, point[0]))
    bold = [recipe in plan.named for _, _, recipe in named]
    annotate(axes, [(x, y, recipe.short_name) for x, y, recipe in named], bold, lines=True)
    figure.savefig(path, dpi=150, bbox_inches='tight')


def pareto(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other beats in both coordinates, from left to right."""
    front: list[tuple[float, float]] = []
    for point in sorted(points):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    return front
