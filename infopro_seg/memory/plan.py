"""The outcome of planning: recipes, and which to choose for a budget."""

from __future__ import annotations

from dataclasses import dataclass

from infopro_seg.memory.recipes import Recipe
from infopro_seg.memory.training_setup import TrainingSetup


@dataclass(frozen=True)
class Plan:
    """The outcome of planning.

    Args:
        setup: batch, crop and precision.
        reference: plain end-to-end training with mmseg's own losses, of which shares are taken.
        recipes: what was compared.
        budget: bytes that may be used; None for no limit.
        recommended: the recipe to choose; None without a budget or where none fits.
        stock: whether the config has mmseg's own losses, so that its end-to-end recipe is the reference.
    """

    setup: TrainingSetup
    reference: Recipe
    recipes: tuple[Recipe, ...]
    budget: int | None = None
    recommended: Recipe | None = None
    stock: bool = False

    @property
    def rows(self) -> tuple[Recipe, ...]:
        """The recipes, after the reference where that is not one of them."""
        same = any(
            recipe.modules == 1 and not recipe.recomputing and not recipe.heads_recomputed
            for recipe in self.recipes
        )
        return self.recipes if self.stock and same else (self.reference, *self.recipes)

    @property
    def smallest(self) -> Recipe:
        """The recipe with the smallest peak."""
        return min(self.recipes, key=lambda recipe: (recipe.peak, recipe.flops))
