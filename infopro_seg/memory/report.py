"""A plan as a table, a picture, JSON and config lines."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rich.table import Table

from infopro_seg.memory.planner import Plan
from infopro_seg.memory.recipes import Recipe
from infopro_seg.memory.units import GIB


def plan_table(plan: Plan) -> Table:
    """The recipes of a plan; the recommended one is bold."""
    budget = '' if plan.budget is None else f', budget {plan.budget / GIB:.2f} GiB'
    table = Table(title=f'Predicted peak memory: {plan.setup}{budget}')
    columns = ['recipe', 'peak GiB', 'of E2E', 'FLOPs of E2E', 'fits', 'cuts']
    with_crops = any(recipe.max_crop for recipe in plan.recipes)
    for name in [*columns[:5], *(['largest crop'] if with_crops else []), columns[5]]:
        table.add_column(name, justify='left' if name in ('recipe', 'cuts') else 'right')
    for recipe in plan.rows:
        fits = recipe.fits(plan.budget)
        row = [
            recipe.name,
            f'{recipe.peak / GIB:.2f}',
            f'{recipe.peak / plan.reference.peak:.3f}',
            f'{recipe.flops / plan.reference.flops:.3f}',
            '' if fits is None else 'yes' if fits else 'no',
        ]
        if with_crops:
            row.append('' if recipe.max_crop is None else f'{recipe.max_crop[0]}x{recipe.max_crop[1]}')
        table.add_row(*row, ' '.join(recipe.cuts), style='bold' if recipe == plan.recommended else None)
    return table


def verdict(plan: Plan) -> str:
    """What to choose, or why nothing fits."""
    if plan.budget is None:
        return ''
    budget = f'{plan.budget / GIB:.2f} GiB'
    best = plan.recommended
    if best is None:
        small = plan.smallest
        return (
            f'Nothing fits {budget}. The smallest peak found is {small.peak / GIB:.2f} GiB, {small.name}; '
            f'it is bound by {small.bound}. Take a smaller --batch or --crop, --amp, or cheaper heads.'
        )
    return (
        f'Recommended for {budget}: {best.name}, {best.peak / GIB:.2f} GiB, '
        f'{best.flops / plan.reference.flops:.3f} of the FLOPs of E2E:\n{config_lines(best)}'
    )


def config_lines(recipe: Recipe) -> str:
    """The lines of a config that ask for a recipe."""
    options = recipe.backbone_options()
    lines = ''.join(f'    {key}={value!r},\n' for key, value in options.items() if key == 'cuts' or value)
    return f'model = dict(backbone=dict(\n{lines}))'


def plan_json(plan: Plan) -> str:
    """The recipes of a plan as a JSON list."""
    rows: list[dict[str, Any]] = []
    for recipe in plan.rows:
        row = recipe.as_json(plan.reference, plan.budget)
        rows.append({**row, 'recommended': recipe == plan.recommended})
    return json.dumps(rows, indent=2) + '\n'


def write_config(plan: Plan, recipe: Recipe, source: Path, target: Path) -> None:
    """Writes a config that inherits from another and asks for a recipe."""
    base = os.path.relpath(source.resolve(), target.resolve().parent)
    options = {**recipe.backbone_options(), 'num_modules': None}
    setup = plan.setup
    text = (
        f'# {recipe.name}: {recipe.peak / GIB:.2f} GiB predicted for {setup}.\n'
        f'_base_ = {[base]!r}\n'
        f'model = dict(\n    data_preprocessor=dict(size={setup.crop!r}),\n    backbone=dict(\n'
        + ''.join(f'        {key}={value!r},\n' for key, value in options.items())
        + f'    ))\ntrain_dataloader = dict(batch_size={setup.batch})\n'
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding='utf-8')


def plot_plan(plan: Plan, path: Path) -> None:
    """Draws memory against FLOPs, with the recipes that no other beats in both joined by a line."""
    import matplotlib as mpl

    mpl.use('Agg')
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5))
    points = [(r.flops / plan.reference.flops, r.peak / GIB, r) for r in plan.rows]
    for plain, marker, label in ((True, 'o', 'nothing recomputed'), (False, '^', 'with recomputation')):
        chosen = [(x, y) for x, y, recipe in points if (not recipe.checkpointed) == plain]
        if chosen:
            axes.scatter(*zip(*chosen, strict=True), marker=marker, label=label)
    front = pareto([(x, y) for x, y, _ in points])
    axes.plot(*zip(*front, strict=True), color='grey', linewidth=1, zorder=0, label='best of both')
    for x, y, recipe in points:
        name = f'K={recipe.modules}' if recipe.modules > 1 else 'E2E'
        weight = 'bold' if recipe == plan.recommended else 'normal'
        axes.annotate(name, (x, y), xytext=(4, 4), textcoords='offset points', fontsize=7, fontweight=weight)
    if plan.budget is not None:
        axes.axhline(plan.budget / GIB, linestyle='--', linewidth=1, label='budget')
    axes.set(xlabel='FLOPs of E2E', ylabel='predicted peak, GiB', title=str(plan.setup), ylim=(0, None))
    axes.legend()
    figure.savefig(path, dpi=150, bbox_inches='tight')
    plt.close(figure)


def pareto(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other beats in both coordinates, from left to right."""
    front: list[tuple[float, float]] = []
    for point in sorted(points):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    return front
