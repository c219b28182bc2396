"""Recipes for `--fit`: the one to train with, and smaller ones in case memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infopro_seg.errors import UserError
from infopro_seg.memory.planning.largest_size import largest_crop
from infopro_seg.memory.planning.plan import EXACT_FLOPS, Plan, exact_only
from infopro_seg.memory.planning.planner import Planner
from infopro_seg.memory.quantities import show_bytes
from infopro_seg.memory.search.recipes import Recipe
from infopro_seg.memory.tracing.training_setup import TrainingSetup, training_setup
from infopro_seg.memory.variants import has_stock_losses, require_infopro

SMALLER = 0.9  # the next smaller recipe takes at most this share of a recipe's peak


@dataclass(frozen=True)
class Fit:
    """The recipes that fit a budget.

    Args:
        plan: the budget, and the cheapest exact and local recipes within it.
        recipes: the one to train with, then ever smaller ones, all traced whole.
    """

    plan: Plan
    recipes: tuple[Recipe, ...]

    def lines(self) -> tuple[str, str]:
        """The verdict, and the recipe to train with, as `--fit` prints them."""
        return self.plan.verdict, f'Training with {self.recipes[0].name}: {recipe_text(self.recipes[0])}'


def plan_to_fit(
    cfg: Any,
    budget: int,
    exact_flops: float = EXACT_FLOPS,
    retries: int = 3,
    setup: TrainingSetup | None = None,
    announce: Callable[[str], None] = lambda text: None,
) -> Fit:
    """Plans a training that fits a budget: exact if that takes few more FLOPs, else local.

    Args:
        cfg: a config with an `InfoProBackbone`.
        budget: bytes.
        exact_flops: the most FLOPs that an exact recipe may take, as a share of those of end-to-end training.
        retries: how many smaller recipes to find. Each takes at most nine tenths of the peak of the one
            before. They keep the cuts as long as more recomputation makes room.
        setup: batch, crop and precision; None for the config's own.
        announce: called with each step before it begins.

    Raises:
        ConfigError: the config has no `InfoProBackbone`.
        UserError: no recipe fits the budget.
    """
    require_infopro(cfg)
    planner = Planner(cfg, setup or training_setup(cfg), announce)
    planner.require_room(budget)
    counts = planner.counts()
    exact, local = planner.exact(budget), planner.local(counts, budget)
    found = [recipe for recipe in (exact, local) if recipe is not None]
    plan = Plan(
        planner.setup,
        planner.reference,
        tuple(found),
        budget,
        exact,
        local,
        stock=has_stock_losses(cfg),
        exact_flops=exact_flops,
    )
    first = plan.recommended
    if first is None:
        raise UserError(_nothing_fits(planner, counts, budget))
    return Fit(plan, (first, *_smaller(planner, counts, first, exact_flops, retries)))


def recipe_text(recipe: Recipe) -> str:
    """The options of a recipe on one line."""
    options = {key: value for key, value in recipe.backbone_options().items() if value or key == 'cuts'}
    return ', '.join(f'{key}={value!r}' for key, value in options.items())


def _smaller(
    planner: Planner, counts: list[int], recipe: Recipe, exact_flops: float, retries: int
) -> list[Recipe]:
    found: list[Recipe] = []
    while len(found) < retries:
        room = int(SMALLER * recipe.peak)
        after = planner.within(recipe.cuts, room)
        if after is None or (not after.cuts and after.flops > exact_flops * planner.reference.flops):
            after = planner.local(counts, room) or after
        if after is None:
            break
        found.append(after)
        recipe = after
    return found


def _nothing_fits(planner: Planner, counts: list[int], budget: int) -> str:
    smallest = planner.smallest(counts)
    crop = largest_crop(planner, smallest, budget)
    size = f'a crop of {crop[0]}x{crop[1]} would fit with it' if crop else 'no crop would fit'
    instead = (
        'a smaller batch or crop' if crop else 'a smaller model or an optimizer whose step needs less memory'
    )
    hint = exact_only(planner.cfg)
    return (
        f'no recipe fits {show_bytes(budget, smallest.peak)} for {planner.setup}. The smallest peak found is '
        f'{show_bytes(smallest.peak, smallest.peak)}, {smallest.name}, bound by {smallest.bound}; {size}. '
        f'Give a larger budget, or {instead}{hint and f". {hint}"}'
    )
