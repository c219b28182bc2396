"""Compares the recipes for a config, and recommends one for a budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from infopro_seg.config_edits import backbone_of
from infopro_seg.errors import ConfigError, UserError
from infopro_seg.memory.costs.chain import PLAIN
from infopro_seg.memory.planning.known_accuracy import known_accuracy
from infopro_seg.memory.planning.plan import Plan
from infopro_seg.memory.quantities import show_bytes
from infopro_seg.memory.search.cuts import check_modules
from infopro_seg.memory.search.partition import balanced
from infopro_seg.memory.search.recipe_search import RecipeSearch
from infopro_seg.memory.search.recipes import Recipe, distinct, make_recipe, method_name
from infopro_seg.memory.variants import frozen_stages, has_local_heads, has_stock_losses, lists_heads

# limits of FLOPs, as shares of the reference's; for each, the plan has the recipe with the fewest bytes
EXACT_LIMITS = (1.02, 1.05, 1.1, 1.2)  # exact recipes
LOCAL_LIMITS = (1.02, 1.1)  # recipes of each number of local modules
LARGEST_LIMIT = 1.3  # the local recipe with the smallest peak of all


class Planner(RecipeSearch):
    """Plans for one config; its arguments are those of :class:`RecipeSearch`."""

    def plan(self, modules: Iterable[int] = range(1, 9), budget: int | None = None) -> Plan:
        """Compares recipes, and recommends one for a budget.

        Args:
            modules: numbers of local modules to try. Those that the encoder is too short for, or that do not
                match a list of local heads, are left out, as are all above 1 if there is no local head. It is
                an error if none remains.
            budget: bytes; the cheapest exact recipe within it is named whatever the numbers are.

        Raises:
            ConfigError: the config cannot be split into so many modules.
            UserError: the budget does not exceed the bytes of parameters, gradients and optimizer state.
        """
        counts = self.counts(modules)
        if budget is not None:
            self.require_room(budget)
        fewest: dict[float, int] = {}
        recipes = [recipe for count in counts for recipe in self._rows(count, fewest)]
        recipes += self._configured()
        if max(counts) > 1:
            recipes += self._smallest(counts)
        compared = tuple(self._with_accuracy(recipe) for recipe in distinct(recipes))
        plan = Plan(
            self.setup,
            self._with_accuracy(self.reference),
            compared,
            budget,
            stock=has_stock_losses(self.cfg),
        )
        return plan if budget is None else self._recommend(plan, counts, budget)

    def counts(self, modules: Iterable[int] = range(1, 9)) -> list[int]:
        """The numbers of local modules that are possible; see :meth:`plan`."""
        self._require_recipes()
        chain = self.costs(self.own_heads).chain
        listed = lists_heads(self.cfg)
        most = chain.most_modules if has_local_heads(self.cfg) else 1
        matching = (1, len(chain.heads) + 1) if listed else range(1, most + 1)
        counts = [k for k in modules if k in matching and k <= chain.most_modules] or [min(modules)]
        for count in counts:
            check_modules(chain, count, listed)
        return counts

    def _require_recipes(self) -> None:
        """Checks that the config trains all of its modules, and that its cuts have local heads."""
        backbone = backbone_of(self.cfg)
        own = () if backbone.get('num_modules') else tuple(backbone.get('cuts') or ())
        if backbone.get('stage') is not None:
            raise ConfigError(
                f'the backbone trains only module {backbone["stage"]}, so there are no recipes to choose '
                "from; for those of the whole encoder, write type='InfoProBackbone' and leave out stage"
            )
        if own and not has_local_heads(self.cfg):
            raise ConfigError(
                f'the cuts {own} need local heads; give the backbone a local_head, or leave out the cuts'
            )

    def require_room(self, budget: int) -> None:
        """Checks that a budget exceeds the bytes that every recipe takes.

        Raises:
            UserError: the budget does not exceed the bytes of parameters, gradients and optimizer state.
        """
        least = self.state_bytes
        if budget <= least:
            raise UserError(
                f'the budget {show_bytes(budget, least)} is below what parameters, gradients and optimizer '
                f'state need alone, {show_bytes(least, least)}; raise it, or choose a smaller model or an '
                'optimizer with less state'
            )

    def _rows(self, count: int, fewest: dict[float, int]) -> list[Recipe]:
        """The recipes with a number of local modules that the plan compares.

        Args:
            count: number of modules.
            fewest: for each limit of FLOPs, the peak of the best local recipe so far. A recipe with more
                modules is compared only if its peak is smaller.
        """
        self.announce(f'balancing {count} local modules' if count > 1 else 'planning end-to-end training')
        costs = self.costs(self.own_heads)
        plain = make_recipe(
            costs.chain, balanced(costs, count), self.own_heads, method_name(count, balanced=True)
        )
        if count == 1:
            return [plain, *(r for limit in EXACT_LIMITS if (r := self.below(1, limit))), *self._frozen()]
        rows = [plain]
        for limit in LOCAL_LIMITS:
            recipe = self.below(count, limit)
            if recipe and recipe.peak < fewest.get(limit, recipe.peak + 1):
                fewest[limit] = recipe.peak
                rows.append(recipe)
        return rows

    def _smallest(self, counts: Sequence[int]) -> list[Recipe]:
        """The recipe with the fewest bytes of all, if it is not among those with fewer FLOPs."""
        self.announce('searching the smallest peak')
        found = [recipe for count in counts if count > 1 and (recipe := self.below(count, LARGEST_LIMIT))]
        return [min(found, key=lambda recipe: (recipe.peak, recipe.flops))] if found else []

    def _frozen(self) -> list[Recipe]:
        """End-to-end training with the first stages of the encoder frozen."""
        plain = self.recipe_at([], 'E2E')
        rows = []
        for count in frozen_stages(backbone_of(self.cfg)['encoder']):
            name = f'E2E, {count} stage{"s" if count > 1 else ""} frozen'
            self.announce(f'tracing {name}')
            rows.append(self.traced(replace(plain, name=name, frozen_stages=count, bound='')))
        return rows

    def _configured(self) -> list[Recipe]:
        """The recipes with the config's own cuts: without recomputation, and with its own `checkpoint`."""
        backbone = backbone_of(self.cfg)
        own = () if backbone.get('num_modules') else tuple(backbone.get('cuts') or ())
        if not own:
            return []
        ends, found = self.ends_of(own), []
        for option in (PLAIN, backbone.get('checkpoint', False)):
            recipe = self.recipe_at(ends, method_name(len(ends) + 1), option)
            what = ' + recomputation' if recipe.recomputing else ''
            found.append(replace(recipe, name=f'{recipe.name}{what}, cuts of the config'))
        return found

    def _recommend(self, plan: Plan, counts: Sequence[int], budget: int) -> Plan:
        """The cheapest exact and local recipes that fit, both traced whole."""
        rows = [recipe for recipe in plan.recipes if recipe.gradients == 'local' and recipe.peak <= budget]
        exact = self._with_accuracy(self.exact(budget))
        local = self._with_accuracy(self.local(counts, budget, rows))
        chosen = [recipe for recipe in (exact, local) if recipe is not None]
        found = distinct([*chosen, *plan.recipes])
        recipes = (*found[len(chosen) :], *found[: len(chosen)])  # the chosen ones last
        return replace(plan, recipes=recipes, exact=exact, local=local)

    def _with_accuracy(self, recipe: Any) -> Any:
        return recipe and replace(recipe, accuracy=known_accuracy(self.cfg, recipe, self.setup))
