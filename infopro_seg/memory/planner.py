"""Which recipes train a config, what each takes, and which to choose for a budget."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from infopro_seg.errors import UserError
from infopro_seg.memory.costs import PLAIN, Chain
from infopro_seg.memory.cuts import check_modules
from infopro_seg.memory.partition import Partition, balanced, cheapest, partition_at
from infopro_seg.memory.plan import Plan
from infopro_seg.memory.profile import profile_chain
from infopro_seg.memory.quantities import show_bytes
from infopro_seg.memory.recipes import Recipe, make_recipe
from infopro_seg.memory.segments import Segments
from infopro_seg.memory.trace import trace_step
from infopro_seg.memory.training_setup import TrainingSetup
from infopro_seg.memory.variants import has_stock_losses, lists_heads, stock_losses, without_cuts
from infopro_seg.models.checkpoint_option import module_texts as module_policies
from infopro_seg.models.recompute import POLICIES

RECOMPUTING = 'blocks'  # the policy of recipes "+ checkpointing"
ATTEMPTS = 3  # recommendations that are traced whole before giving up on the budget
ALIKE = 0.005  # of end-to-end FLOPs; recipes that differ by less count as equally fast


class Planner:
    """Plans for one config.

    Args:
        cfg: a config with an `InfoProBackbone`.
        setup: batch, crop and precision to plan for.
        report: told what is being done, before it is done.
    """

    def __init__(
        self, cfg: Any, setup: TrainingSetup, report: Callable[[str], None] = lambda text: None
    ) -> None:
        self.cfg = cfg
        self.setup = setup
        self.report = report
        backbone = cfg.get('model', cfg)['backbone']
        self._own_heads = bool(backbone.get('checkpoint_heads', False))
        self._own_cuts = () if backbone.get('num_modules') else tuple(backbone.get('cuts') or ())
        self._own_policies = backbone.get('checkpoint', False)
        self._segments: dict[bool, Segments] = {}

    def plan(self, modules: Iterable[int] = range(1, 9), budget: int | None = None) -> Plan:
        """Compares recipes, and recommends one for a budget.

        Args:
            modules: numbers of local modules to try; those that the encoder is too short for, or that do not
                match a list of local heads, are left out, unless none remains.
            budget: bytes.

        Raises:
            ConfigError: the config cannot be split into so many modules.
            UserError: the budget is below what parameters, gradients and optimizer state take alone.
        """
        chain = self.segments(self._own_heads).chain
        listed = lists_heads(self.cfg)
        matching = (1, len(chain.heads) + 1) if listed else range(1, chain.most_modules + 1)
        counts = [k for k in modules if k in matching and k <= chain.most_modules] or [min(modules)]
        for count in counts:
            check_modules(chain, count, listed)
        if budget is not None and budget <= chain.fixed + chain.gradients:
            least = chain.fixed + chain.gradients
            raise UserError(
                f'the budget {show_bytes(budget, least)} is below what parameters, gradients and optimizer '
                f'state take alone, {show_bytes(least, least)}; raise it, or choose a smaller model or an '
                'optimizer with less state'
            )
        reference = self._reference()
        recipes = [recipe for count in counts for recipe in self._pair(count)]
        recipes += self._configured(chain)
        plan = Plan(self.setup, reference, tuple(recipes), budget, stock=has_stock_losses(self.cfg))
        return plan if budget is None else self._recommend(plan, counts, budget)

    def segments(self, heads_recomputed: bool) -> Segments:
        """All possible local modules, with or without heads that recompute norms and activations."""
        if heads_recomputed not in self._segments:
            what = ', heads recomputing norms' if heads_recomputed else ''
            self.report(f'measuring every block and head{what}')
            known = next((segments.chain for segments in self._segments.values()), None)
            chain = profile_at(self.cfg, self.setup, heads_recomputed, blocks_of=known)
            self._segments[heads_recomputed] = Segments(chain)
        return self._segments[heads_recomputed]

    def reference_config(self) -> Any:
        """The config of the reference: end to end, mmseg's own losses, nothing recomputed."""
        cfg = stock_losses(without_cuts(self.cfg))
        cfg.get('model', cfg)['backbone']['local_head'] = None
        return cfg

    def _reference(self) -> Recipe:
        self.report('tracing plain end-to-end training')
        traced = self._trace(self.reference_config())
        segments = self.segments(self._own_heads)
        first = make_recipe(segments.chain, balanced(segments, 1), False)
        return replace(
            first, name='E2E, stock losses', peak=traced[0], flops=traced[1], traced=True, stock=True
        )

    def _pair(self, modules: int) -> list[Recipe]:
        """The balanced recipe with that many modules, as it is and with checkpointing."""
        self.report(f'balancing {modules} local modules')
        found = []
        for policy, heads in ((PLAIN, self._own_heads), (RECOMPUTING, True)):
            segments = self.segments(heads)
            found.append(make_recipe(segments.chain, balanced(segments, modules, policy), heads))
        return found

    def _configured(self, chain: Chain) -> list[Recipe]:
        """The recipes with the config's own cuts: recomputing nothing, and by its own policies."""
        if not self._own_cuts:
            return []
        names = [block.name for block in chain.blocks]
        ends = [names.index(cut) + 1 for cut in self._own_cuts]
        own = module_policies(self._own_policies, len(ends) + 1)
        found = []
        for policies in dict.fromkeys([(PLAIN,) * len(own), own]):
            partition = partition_at(self.segments(self._own_heads), ends, policies)
            recipe = make_recipe(chain, partition, self._own_heads, balanced=False)
            found.append(replace(recipe, name=f'{recipe.name}, cuts of the config'))
        return found

    def _recommend(self, plan: Plan, counts: Sequence[int], budget: int) -> Plan:
        """The recipe with the fewest FLOPs that fits, verified by a complete trace."""
        room = budget
        for _ in range(ATTEMPTS):
            found = [recipe for heads in (False, True) for recipe in self._cheapest(counts, room, heads)]
            if not found:
                return plan
            best = min(found, key=lambda recipe: self._preference(recipe, plan.reference))
            self.report(f'tracing {best.name}')
            peak, flops = self._trace(self.configure(best))
            best = replace(best, peak=peak, flops=flops, traced=True)
            if peak <= budget:
                same = [r for r in plan.recipes if (r.cuts, r.policies) == (best.cuts, best.policies)]
                rest = tuple(
                    r for r in plan.recipes if r not in same or r.heads_recomputed != best.heads_recomputed
                )
                return replace(plan, recipes=(*rest, best), recommended=best)
            room -= peak - budget
        return plan

    def _cheapest(self, counts: Sequence[int], room: int, heads: bool) -> list[Recipe]:
        segments = self.segments(heads)
        found: list[Partition | None] = []
        for count in counts:
            self.report(f'searching {count} modules with the fewest FLOPs')
            found.append(cheapest(segments, count, room, POLICIES))
        return [make_recipe(segments.chain, one, heads, balanced=False) for one in found if one]

    def _preference(self, recipe: Recipe, reference: Recipe) -> tuple[Any, ...]:
        steps = round(recipe.flops / reference.flops / ALIKE)
        recomputing = len(recipe.recomputing) + recipe.heads_recomputed
        return steps, recipe.modules, recomputing, recipe.peak

    def configure(self, recipe: Recipe) -> Any:
        """The config for a recipe."""
        cfg = without_cuts(self.cfg)
        backbone = cfg.get('model', cfg)['backbone']
        backbone.update(recipe.backbone_options())
        if recipe.cuts:
            backbone['local_head'] = copy.deepcopy(self.cfg.get('model', self.cfg)['backbone']['local_head'])
        return cfg

    def _trace(self, cfg: Any) -> tuple[int, int]:
        setup = self.setup
        traced = trace_step(cfg, setup.batch, setup.crop, setup.amp, accumulation=setup.accumulation)
        return traced.peak, traced.flops


def profile_at(
    cfg: Any,
    setup: TrainingSetup,
    heads_recomputed: bool,
    crop: tuple[int, int] | None = None,
    blocks_of: Chain | None = None,
) -> Chain:
    """Measures the pieces of a config's model under every policy; see `profile_chain`."""
    cfg = copy.deepcopy(cfg)
    cfg.get('model', cfg)['backbone']['checkpoint_heads'] = heads_recomputed
    return profile_chain(
        cfg,
        setup.batch,
        crop or setup.crop,
        setup.amp,
        accumulation=setup.accumulation,
        policies=POLICIES[1:],
        blocks_of=blocks_of,
    )
