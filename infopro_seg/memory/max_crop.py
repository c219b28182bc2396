"""The largest crop that fits a budget, for each recipe."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

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
    crops = _Crops(planner)
    found = [replace(recipe, max_crop=_largest(recipe, crops, budget)) for recipe in plan.recipes]
    recommended = plan.recommended and found[plan.recipes.index(plan.recommended)]
    return replace(plan, recipes=tuple(found), recommended=recommended)


class _Crops:
    """The modules that there are at every crop, from the costs at two."""

    def __init__(self, planner: Planner) -> None:
        self.planner = planner
        height, width = planner.setup.crop
        self.first = height, width
        self.second = 2 * STEP * max(1, round(height / STEP)), 2 * STEP * max(1, round(width / STEP))
        self.at = cache(self._at)
        self._measured: dict[bool, Chain] = {}

    def _at(self, steps: int, heads: bool) -> Segments:
        first, second = self.planner.segments(heads).chain, self._second(heads)
        (h, w), (h2, w2) = self.first, self.second
        return Segments(chain_at(2 * (steps * STEP) ** 2, (h * w, first), (h2 * w2, second)))

    def _second(self, heads: bool) -> Chain:
        if heads not in self._measured:
            self.planner.report('measuring a second crop')
            known = next(iter(self._measured.values()), None)
            planner = self.planner
            self._measured[heads] = profile_at(planner.cfg, planner.setup, heads, self.second, known)
        return self._measured[heads]


def _largest(recipe: Recipe, crops: _Crops, budget: int) -> tuple[int, int] | None:
    """By bisection over heights, the peak growing with the crop."""
    names = [block.name for block in crops.planner.segments(recipe.heads_recomputed).chain.blocks]
    ends = [names.index(cut) + 1 for cut in recipe.cuts]

    def fits(steps: int) -> bool:
        segments = crops.at(steps, recipe.heads_recomputed)
        return partition_at(segments, ends, recipe.policies).peak <= budget

    smallest, largest = 0, LARGEST // STEP
    while smallest < largest:
        middle = (smallest + largest + 1) // 2
        smallest, largest = (middle, largest) if fits(middle) else (smallest, middle - 1)
    return (smallest * STEP, 2 * smallest * STEP) if smallest else None
