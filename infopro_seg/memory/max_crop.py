"""The largest crop that fits a budget, for each recipe."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from infopro_seg.memory.costs import Chain
from infopro_seg.memory.interpolate import chain_at
from infopro_seg.memory.partition import partition_at
from infopro_seg.memory.plan import Plan
from infopro_seg.memory.planner import Planner, profile_at
from infopro_seg.memory.recipes import Recipe
from infopro_seg.memory.segments import Segments

STEP = 64  # pixels; every encoder's stride divides it
LARGEST = 8192  # pixels of height; beyond any camera


def with_max_crops(planner: Planner, plan: Plan, budget: int) -> Plan:
    """The plan, each recipe with the largest crop (twice as wide as high) that fits a budget.

    A recipe keeps its cuts. The costs at other crops follow from those at two crops.
    """
    crops = _Crops(planner)
    found = {recipe: replace(recipe, max_crop=_largest(recipe, crops, budget)) for recipe in plan.rows}
    return replace(
        plan,
        reference=found.get(plan.reference, plan.reference),
        recipes=tuple(found[recipe] for recipe in plan.recipes),
        recommended=plan.recommended and found[plan.recommended],
    )


class _Crops:
    """All possible modules at any crop, interpolated from the costs at two crops."""

    def __init__(self, planner: Planner) -> None:
        self.planner = planner
        height, width = planner.setup.crop
        self.first = height, width
        self.second = 2 * STEP * max(1, round(height / STEP)), 2 * STEP * max(1, round(width / STEP))
        self.at = cache(self._at)
        self._chains = cache(self._measure)
        self._blocks: Chain | None = None  # at the second crop; they are the same in all recipes

    def _at(self, steps: int, stock: bool, heads: bool) -> Segments:
        first, second = self._chains(stock, heads)
        (h, w), (h2, w2) = self.first, self.second
        return Segments(chain_at(2 * (steps * STEP) ** 2, (h * w, first), (h2 * w2, second)))

    def _measure(self, stock: bool, heads: bool) -> tuple[Chain, Chain]:
        """The costs at both crops, of the reference or of what the config itself asks for."""
        planner = self.planner
        cfg, first = planner.cfg, planner.segments(heads or stock).chain
        if stock:
            planner.report('measuring heads with stock losses')
            cfg = planner.reference_config()
            first = profile_at(cfg, planner.setup, heads, blocks_of=first)
        planner.report('measuring a second crop')
        second = profile_at(cfg, planner.setup, heads, self.second, self._blocks)
        self._blocks = second
        return first, second


def _largest(recipe: Recipe, crops: _Crops, budget: int) -> tuple[int, int] | None:
    """By bisection over heights, the peak growing with the crop."""
    known = crops.planner.segments(recipe.heads_recomputed or recipe.stock)
    names = [block.name for block in known.chain.blocks]
    ends = [names.index(cut) + 1 for cut in recipe.cuts]

    def fits(steps: int) -> bool:
        segments = crops.at(steps, recipe.stock, recipe.heads_recomputed)
        return partition_at(segments, ends, recipe.policies).peak <= budget

    smallest, largest = 0, LARGEST // STEP
    while smallest < largest:
        middle = (smallest + largest + 1) // 2
        smallest, largest = (middle, largest) if fits(middle) else (smallest, middle - 1)
    return (smallest * STEP, 2 * smallest * STEP) if smallest else None
