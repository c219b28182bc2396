"""The outcome of planning: recipes, and which to choose for a budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infopro_seg.memory.quantities import show_bytes
from infopro_seg.memory.search.recipe_search import ALIKE
from infopro_seg.memory.search.recipes import Recipe
from infopro_seg.memory.tracing.training_setup import TrainingSetup
from infopro_seg.memory.variants import has_local_heads
from infopro_seg.tasks import is_classifier

EXACT_FLOPS = 1.2  # an exact recipe is preferred up to this share of the FLOPs of end-to-end training


@dataclass(frozen=True)
class Plan:
    """The outcome of planning.

    Args:
        setup: batch, crop and precision.
        reference: plain end-to-end training with mmseg's own losses; shares refer to it.
        recipes: the recipes compared.
        budget: bytes that may be used; None for no limit.
        exact: the exact recipe with the fewest FLOPs that fits the budget.
        local: the local recipe with the fewest FLOPs that fits the budget.
        stock: whether the config has mmseg's own losses, so that its end-to-end recipe is the reference.
        exact_flops: the most FLOPs of an exact recipe to recommend, as a share of the reference's.
        with_crops: whether the recipes name the largest crop that fits.
        with_batches: whether they name the largest batch.
    """

    setup: TrainingSetup
    reference: Recipe
    recipes: tuple[Recipe, ...]
    budget: int | None = None
    exact: Recipe | None = None
    local: Recipe | None = None
    stock: bool = False
    exact_flops: float = EXACT_FLOPS
    with_crops: bool = False
    with_batches: bool = False

    @property
    def recommended(self) -> Recipe | None:
        """The recipe to choose; None without a budget, or if no recipe fits it."""
        if self.exact is not None and self.exact.flops <= self.exact_flops * self.reference.flops:
            return self.exact
        return self.local or self.exact

    @property
    def rival(self) -> Recipe | None:
        """The smallest exact recipe with no more memory and FLOPs than the local one; None if none has."""
        if self.local is None:
            return None
        most = self.local.flops + ALIKE * self.reference.flops
        found = [
            recipe
            for recipe in self.recipes
            if recipe.gradients == 'exact' and recipe.flops <= most and recipe.peak <= self.local.peak
        ]
        return min(found, key=lambda recipe: recipe.peak, default=None)

    @property
    def alternative(self) -> Recipe | None:
        """What to name beside the exact recipe: the local one, or the exact one that beats it; or None."""
        return self.rival or self.local

    @property
    def named(self) -> tuple[Recipe, ...]:
        """The recipes to show the settings of, each once: the exact one, the alternative, the recommended."""
        found = dict.fromkeys((self.exact, self.alternative, self.recommended))
        return tuple(recipe for recipe in found if recipe is not None)

    @property
    def rows(self) -> tuple[Recipe, ...]:
        """The recipes; the reference comes first, unless it is one of them."""
        same = any(
            recipe.gradients == 'exact' and not recipe.recomputing and not recipe.heads_recomputed
            for recipe in self.recipes
        )
        return self.recipes if self.stock and same else (self.reference, *self.recipes)

    @property
    def smallest(self) -> Recipe:
        """The recipe with the smallest peak, of those that train all of the encoder."""
        trained = [recipe for recipe in self.recipes if recipe.gradients != 'frozen']
        return min(trained, key=lambda recipe: (recipe.peak, recipe.flops))

    @property
    def verdict(self) -> str:
        """Which exact recipe fits the budget, and what the cheapest local one would change."""
        if self.budget is None:
            return ''
        size = show_bytes(self.budget, self.reference.peak)
        recipe = self.exact or self.local
        if recipe is None:
            return f'Nothing fits {size}.'
        more = recipe.flops / self.reference.flops - 1
        percent = _percent(more)
        flops = f'{percent} {"more" if more > 0 else "fewer"} FLOPs' if percent else 'no more FLOPs'
        described = f'{recipe.name} takes {show_bytes(recipe.peak, self.reference.peak)} and {flops}'
        if self.exact is None:
            return f'No exact recipe fits {size}; {described}.'
        text = f'Exact gradients fit {size}: {described}.'
        if self.local is None:
            return text
        if self.rival == self.exact:
            return (
                f'{text} The cheapest local recipe, {self.local.name}, saves no memory and hardly any FLOPs.'
            )
        text = f'{text} {self.local.name} would {self._change(self.exact, self.local)}'
        if self.rival is None:
            return f'{text}.'
        return (
            f'{text}; {self.rival.name}, with exact gradients, would {self._change(self.exact, self.rival)}.'
        )

    def _change(self, exact: Recipe, other: Recipe) -> str:
        """What another recipe saves and costs, compared with the exact one."""
        saved, flops = exact.peak - other.peak, (exact.flops - other.flops) / self.reference.flops
        size = show_bytes(abs(saved), self.reference.peak)
        percent = _percent(flops)
        if not percent:
            return f'{"save" if saved >= 0 else "take"} another {size} at the same FLOPs'
        if saved >= 0:
            return f'save another {size} ' + (
                f'and {percent} FLOPs' if flops > 0 else f'for {percent} more FLOPs'
            )
        return f'take {size} more and ' + (f'save {percent} FLOPs' if flops > 0 else f'{percent} more FLOPs')


def exact_only(cfg: Any) -> str:
    """That a config without local heads has exact recipes only, and how to get local ones; else empty."""
    if has_local_heads(cfg):
        return ''
    folder = 'classification/local_heads/softmax.py' if is_classifier(cfg) else 'local_heads/lean.py'
    return (
        'The config has no local head, so only exact recipes were tried. To try local ones, give the '
        f'backbone a local_head, e.g. that of configs/_base_/{folder}'
    )


def _percent(share: float) -> str:
    """The size of a share, in percent; empty if it rounds to zero."""
    text = f'{abs(share):.1%}'.replace('%', ' %')
    return '' if text == '0.0 %' else text
