"""The largest crop that fits a budget, for each recipe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from infopro_seg.memory.costs import Chain
from infopro_seg.memory.interpolate import chain_at
from infopro_seg.memory.partition import partition_at
from infopro_seg.memory.planner import Plan, Planner, profile_at
from infopro_seg.memory.recipes import Recipe
from infopro_seg.memory.segments import Segments

STEP = 64  # pixels; every encoder's stride divides it
LARGEST = 8192  # pixels of height; beyond any camera


def with_max_crops(planner: Planner, plan: Plan, budget: int) -> Plan:
    """The plan, each recipe with the largest crop (twice as wide as high) that fits a budget.

    A recipe keeps its cuts. The costs at other crops follow from those at two crops.
    """
    known: dict[bool, tuple[tuple[int, Chain], tuple[int, Chain]]] = {}
    found = []
    for recipe in plan.recipes:
        heads = recipe.heads_recomputed
        if heads not in known:
            planner.report('measuring a second crop')
            known[heads] = _two_crops(planner, heads)
        found.append(replace(recipe, max_crop=_largest(recipe, *known[heads], budget)))
    recommended = plan.recommended and found[plan.recipes.index(plan.recommended)]
    return replace(plan, recipes=tuple(found), recommended=recommended)


def _two_crops(planner: Planner, heads: bool) -> tuple[tuple[int, Chain], tuple[int, Chain]]:
    height, width = planner.setup.crop
    first = height * width, planner.segments(heads).chain
    other = 2 * STEP * round(height / STEP), 2 * STEP * round(width / STEP)
    second = other[0] * other[1], profile_at(planner.cfg, planner.setup, heads, other)
    return first, second


def _largest(
    recipe: Recipe, low: tuple[int, Chain], high: tuple[int, Chain], budget: int
) -> tuple[int, int] | None:
    """By bisection over heights, the peak growing with the crop."""
    names = [block.name for block in low[1].blocks]
    ends = [names.index(cut) + 1 for cut in recipe.cuts]

    def fits(steps: int) -> bool:
        chain: Any = chain_at(2 * (steps * STEP) ** 2, low, high)
        return partition_at(Segments(chain), ends, recipe.policies).peak <= budget

    smallest, largest = 0, LARGEST // STEP
    while smallest < largest:
        middle = (smallest + largest + 1) // 2
        if fits(middle):
            smallest = middle
        else:
            largest = middle - 1
    return (smallest * STEP, 2 * smallest * STEP) if smallest else None
