"""Searches recipes for one config: the cheapest within a budget, or the smallest within a limit of FLOPs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from infopro_seg.config_edits import backbone_of, without_turn
from infopro_seg.memory.costs.chain import PLAIN
from infopro_seg.memory.costs.module_costs import ModuleCosts
from infopro_seg.memory.costs.profile import profile_chain
from infopro_seg.memory.search.module_search import ModuleSearch
from infopro_seg.memory.search.partition import Partition, partition_at
from infopro_seg.memory.search.partition_search import PartitionSearch
from infopro_seg.memory.search.recipes import Recipe, make_recipe, method_name, with_recipe
from infopro_seg.memory.tracing.step import trace_step
from infopro_seg.memory.tracing.training_setup import TrainingSetup
from infopro_seg.memory.variants import stock_losses, without_cuts
from infopro_seg.models.recomputation.recompute import POLICIES
from infopro_seg.models.recomputation.recompute_option import Option

SIMPLER = 0.01  # share of the peak that a recipe may take more, if it has fewer runs of equal segments
ALIKE = 0.005  # share of end-to-end FLOPs; recipes that differ by less count as equally fast
ATTEMPTS = 3  # recipes to trace whole for a budget before giving up


class RecipeSearch:
    """Searches the recipes of one config.

    Args:
        cfg: a config with an `InfoProBackbone`.
        setup: batch, crop and precision to plan for.
        announce: called with each step before it begins.
    """

    def __init__(
        self, cfg: Any, setup: TrainingSetup, announce: Callable[[str], None] = lambda text: None
    ) -> None:
        self.cfg = cfg
        self.setup = setup
        self.announce = announce
        self.own_heads = bool(backbone_of(cfg).get('checkpoint_heads', False))
        self._costs: dict[bool, ModuleCosts] = {}

    def costs(self, heads_recomputed: bool) -> ModuleCosts:
        """The costs of all local modules, with or without heads that recompute norms and activations."""
        if heads_recomputed not in self._costs:
            what = ', heads recomputing norms' if heads_recomputed else ''
            self.announce(f'measuring every block and head{what}')
            cfg, setup = copy.deepcopy(self.cfg), self.setup
            backbone_of(cfg)['checkpoint_heads'] = heads_recomputed
            chain = profile_chain(
                cfg,
                setup.batch,
                setup.crop,
                setup.amp,
                accumulation=setup.accumulation,
                policies=POLICIES[1:],
                blocks_of=next((costs.chain for costs in self._costs.values()), None),
            )
            self._costs[heads_recomputed] = ModuleCosts(chain)
        return self._costs[heads_recomputed]

    @property
    def state_bytes(self) -> int:
        """Bytes of parameters, gradients and optimizer state, without local heads."""
        chain = self.costs(self.own_heads).chain
        return chain.fixed + chain.gradients

    @cached_property
    def search(self) -> PartitionSearch:
        """The search for cuts and recomputation, with heads that recompute norms and activations."""
        return PartitionSearch(ModuleSearch(self.costs(True), POLICIES))

    @cached_property
    def reference(self) -> Recipe:
        """Plain end-to-end training with mmseg's own losses, traced whole."""
        self.announce('tracing plain end-to-end training')
        plain = self.recipe_at([], 'E2E, stock losses')
        return self.traced(replace(plain, stock=True, heads_recomputed=False))

    def configure(self, recipe: Recipe) -> Any:
        """The config for a recipe."""
        if recipe.stock:
            cfg = stock_losses(without_cuts(self.cfg))
            backbone_of(cfg)['local_head'] = None
            return cfg
        cfg = with_recipe(self.cfg, recipe)
        without_turn(backbone_of(cfg))
        return cfg

    def trace(self, recipe: Recipe, setup: TrainingSetup | None = None) -> tuple[int, int]:
        """Peak and FLOPs of a traced step of a recipe, in this setup or another one."""
        setup = setup or self.setup
        traced = trace_step(
            self.configure(recipe), setup.batch, setup.crop, setup.amp, accumulation=setup.accumulation
        )
        return traced.peak, traced.flops

    def exact(self, budget: int) -> Recipe | None:
        """The exact recipe with the fewest FLOPs within a budget, traced whole; None if none fits."""
        plain = self.recipe_at([], 'E2E')
        return self._verified(budget, lambda room: self._cheapest([1], room, [plain]))

    def local(self, counts: Sequence[int], budget: int, others: Sequence[Recipe] = ()) -> Recipe | None:
        """The cheapest local recipe within a budget, traced whole; None if none fits."""
        counts = [count for count in counts if count > 1]
        return self._verified(budget, lambda room: self._cheapest(counts, room, others)) if counts else None

    def within(self, cuts: Sequence[str], budget: int) -> Recipe | None:
        """The recipe at given cuts with the fewest FLOPs within a budget, traced whole; None if none fits."""
        ends = self.ends_of(cuts)

        def found(room: int) -> Recipe | None:
            partition = self.search.within(ends, room)
            return None if partition is None else self._simplified(partition, room, partition.flops)

        return self._verified(budget, found)

    def smallest(self, counts: Sequence[int]) -> Recipe:
        """The recipe with the smallest predicted peak."""
        partitions = [self.search.fewest_bytes(count, float('inf')) for count in counts]
        best = min((one for one in partitions if one), key=lambda one: (one.peak, one.flops))
        return self._simplified(best, best.peak, best.flops)

    def below(self, count: int, limit: float) -> Recipe | None:
        """The recipe with the smallest peak within a limit of FLOPs, or a simpler one nearly as small.

        Args:
            count: number of local modules.
            limit: the most FLOPs, as a share of the reference's.
        """
        flops = limit * self.reference.flops
        partition = self.search.fewest_bytes(count, flops)
        if partition is None:
            return None
        most = min(flops, partition.flops + ALIKE * self.reference.flops)
        recipe = self._simplified(partition, round((1 + SIMPLER) * partition.peak), most)
        return replace(recipe, name=f'{recipe.name} (<= {limit:g})') if recipe.recomputing else recipe

    def _cheapest(self, counts: Sequence[int], room: int, others: Sequence[Recipe]) -> Recipe | None:
        """The recipe with the fewest predicted FLOPs; among alike ones, that with the smallest peak."""
        found = [recipe for recipe in others if recipe.peak <= room]
        for count in counts:
            self.announce(f'searching K={count} with the fewest FLOPs')
            partition = self.search.fewest_flops(count, room)
            if partition is not None:
                most = partition.flops + ALIKE * self.reference.flops
                found.append(self._simplified(partition, room, most))
        if not found:
            return None
        least = min(recipe.flops for recipe in found) + ALIKE * self.reference.flops
        alike = [recipe for recipe in found if recipe.flops <= least]
        return min(
            alike, key=lambda recipe: (recipe.gradients != 'local' and recipe.recomputing, recipe.peak)
        )

    def _verified(self, budget: int, find: Callable[[int], Recipe | None]) -> Recipe | None:
        """The recipe found for a budget, traced whole; if its trace is too large, finds one for less."""
        room = budget
        for _ in range(ATTEMPTS):
            found = find(room)
            if found is None:
                return None
            self.announce(f'tracing {found.name}')
            found = self.traced(found)
            if found.peak <= budget:
                return found
            room -= found.peak - budget
        return None

    def _simplified(self, partition: Partition, peak: int, flops: float) -> Recipe:
        simple = self.search.simplified(partition, peak, flops)
        recipe = make_recipe(self.costs(True).chain, simple, True, method_name(len(simple.modules)))
        if recipe.recomputing:
            return replace(recipe, name=f'{recipe.name} + recomputation')
        return recipe if self.own_heads else replace(recipe, name=f'{recipe.name}, heads recomputing norms')

    def recipe_at(self, ends: Sequence[int], name: str, option: Option = PLAIN) -> Recipe:
        """The recipe with given cuts and the config's own heads, its peak predicted.

        Args:
            ends: the numbers of blocks before each cut.
            name: its name in tables.
            option: the option `checkpoint`.
        """
        costs = self.costs(self.own_heads)
        return make_recipe(costs.chain, partition_at(costs, ends, option), self.own_heads, name)

    def ends_of(self, cuts: Sequence[str]) -> list[int]:
        """The number of blocks up to each cut."""
        names = self.costs(self.own_heads).chain.names
        return [names.index(cut) + 1 for cut in cuts]

    def traced(self, recipe: Recipe) -> Recipe:
        """A recipe with the peak and FLOPs of a traced step."""
        peak, flops = self.trace(recipe)
        return replace(recipe, peak=peak, flops=flops, traced=True)
