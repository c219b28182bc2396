"""The largest crop and the largest batch that fit a budget, for each recipe, found by complete traces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

from infopro_seg.batch_norm import SingleValueError
from infopro_seg.memory.planning.plan import Plan
from infopro_seg.memory.planning.planner import Planner
from infopro_seg.memory.search.recipe_search import RecipeSearch
from infopro_seg.memory.search.recipes import Recipe
from infopro_seg.memory.tracing.fake_model import SmallImagesError
from infopro_seg.memory.tracing.training_setup import TrainingSetup

STEP = 64  # pixels; every encoder's stride divides it
LARGEST_HEIGHT = 8192  # pixels; beyond any camera
LARGEST_BATCH = 4096  # images


def with_largest(planner: Planner, plan: Plan, budget: int, crop: bool = False, batch: bool = False) -> Plan:
    """A copy of a plan whose recipes name the largest crop, twice as wide as high, or batch within a budget.

    A recipe keeps its cuts and what it recomputes.

    Args:
        planner: the planner that made the plan.
        plan: the plan.
        budget: bytes.
        crop: whether to find crops.
        batch: whether to find batches.
    """

    def sized(recipe: Recipe) -> Recipe:
        if crop:
            planner.announce(f'searching the largest crop of {recipe.name}')
            recipe = replace(recipe, max_crop=largest_crop(planner, recipe, budget))
        if batch:
            planner.announce(f'searching the largest batch of {recipe.name}')
            recipe = replace(recipe, max_batch=largest_batch(planner, recipe, budget))
        return recipe

    found = {recipe: sized(recipe) for recipe in plan.rows}
    return replace(
        plan,
        reference=found.get(plan.reference, plan.reference),
        recipes=tuple(found[recipe] for recipe in plan.recipes),
        exact=plan.exact and found[plan.exact],
        local=plan.local and found[plan.local],
        with_crops=crop,
        with_batches=batch,
    )


def largest_crop(search: RecipeSearch, recipe: Recipe, budget: int) -> tuple[int, int] | None:
    """Height and width of the largest crop, twice as wide as high, that fits a budget; None if none does."""

    def setup(steps: int) -> TrainingSetup:
        return replace(search.setup, crop=(steps * STEP, 2 * steps * STEP))

    height, width = search.setup.crop
    own = height * width / (2 * STEP**2)
    steps = _largest(search, recipe, budget, setup, lambda steps: steps**2 / own, LARGEST_HEIGHT // STEP)
    return (steps * STEP, 2 * steps * STEP) if steps else None


def largest_batch(search: RecipeSearch, recipe: Recipe, budget: int) -> int | None:
    """The largest batch whose traced step fits a budget; None if none does."""

    def setup(images: int) -> TrainingSetup:
        return replace(search.setup, batch=images)

    return (
        _largest(search, recipe, budget, setup, lambda images: images / search.setup.batch, LARGEST_BATCH)
        or None
    )


def _largest(
    search: RecipeSearch,
    recipe: Recipe,
    budget: int,
    setup: Callable[[int], TrainingSetup],
    pixels: Callable[[int], float],
    most: int,
) -> int:
    """The largest size that fits, while the next does not; 0 if the smallest does not.

    The peak grows almost linearly with the number of pixels, so each trace says where to look next. A size
    at which the network cannot train, as a batch of one, is no answer, but larger ones may be.

    Args:
        search: traces the recipe.
        recipe: the recipe; the search starts from its peak.
        budget: bytes.
        setup: maps a size to the setup to trace.
        pixels: maps a size to its number of pixels, as a share of that of the search's own setup.
        most: the largest size to try.
    """
    low, high, largest = 0, most + 1, 0
    points = {0.0: search.state_bytes, 1.0: recipe.peak}
    while high - low > 1:
        known = sorted(points.items())
        (x, y), (x2, y2) = next((pair for pair in pairwise(known) if pair[1][1] > budget), known[-2:])
        room = x + (budget - y) * (x2 - x) / max(y2 - y, 1)
        guess = max((size for size in range(low + 1, high) if pixels(size) <= room), default=low + 1)
        try:
            points[pixels(guess)], _ = search.trace(recipe, setup(guess))
        except (SingleValueError, SmallImagesError):
            low = guess
            continue
        if points[pixels(guess)] <= budget:
            low = largest = guess
        else:
            high = guess
    return largest
