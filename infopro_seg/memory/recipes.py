"""Recipes: ways to train a config's model, with what each takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infopro_seg.memory.costs import PLAIN, Chain
from infopro_seg.memory.partition import Partition
from infopro_seg.memory.quantities import GIB

NAMES = {
    'blocks': 'checkpointing',
    'norms': 'norms recomputed',
    'expansions': 'norms and expansions recomputed',
}


@dataclass(frozen=True)
class Recipe:
    """One way to train, and what it takes.

    Args:
        name: what tables call it.
        cuts: names of the blocks after which gradients stop.
        policies: what each module recomputes, see :mod:`infopro_seg.models.recompute`.
        heads_recomputed: whether heads recompute norms and activations.
        peak: bytes at the peak of a step.
        flops: floating-point operations of a step.
        bound: what runs at the peak.
        traced: whether a complete step was traced; else the additive model predicts it.
        stock: whether it is the reference, trained end to end with mmseg's own losses.
        max_crop: height and width of the largest crop that fits the budget, if that was asked for.
    """

    name: str
    cuts: tuple[str, ...]
    policies: tuple[str, ...]
    heads_recomputed: bool
    peak: int
    flops: int
    bound: str
    traced: bool = False
    stock: bool = False
    max_crop: tuple[int, int] | None = None

    @property
    def modules(self) -> int:
        """Number of local modules."""
        return len(self.cuts) + 1

    @property
    def short_name(self) -> str:
        """What plots call it, whose markers say whether anything is recomputed."""
        if self.modules > 1:
            return f'K={self.modules}'
        return 'E2E, stock losses' if self.stock else 'E2E'

    @property
    def recomputing(self) -> list[int]:
        """The modules that recompute anything."""
        return [index for index, policy in enumerate(self.policies) if policy != PLAIN]

    def fits(self, budget: int | None) -> bool | None:
        """Whether the peak is within a budget; None without one."""
        return None if budget is None else self.peak <= budget

    def as_json(self, reference: Recipe, budget: int | None) -> dict[str, Any]:
        """The recipe beside the reference, for `--json`."""
        found: dict[str, Any] = {
            'recipe': self.name,
            'modules': self.modules,
            'cuts': list(self.cuts),
            'checkpointed': self.recomputing,
            'checkpoint': list(self.policies),
            'checkpoint_heads': self.heads_recomputed,
            'peak_gib': round(self.peak / GIB, 4),
            'share_of_e2e': round(self.peak / reference.peak, 4),
            'flops_of_e2e': round(self.flops / reference.flops, 4),
            'fits': self.fits(budget),
            'bound_by': self.bound,
            'traced': self.traced,
        }
        if self.max_crop is not None:
            found['max_crop'] = list(self.max_crop)
        return found

    def backbone_options(self) -> dict[str, Any]:
        """What the config's backbone has to say for this recipe."""
        distinct = set(self.policies)
        checkpoint: Any = self.policies
        if len(distinct) == 1:
            checkpoint = False if distinct == {PLAIN} else self.policies[0]
        return {'cuts': self.cuts, 'checkpoint': checkpoint, 'checkpoint_heads': self.heads_recomputed}


def recipe_name(modules: int, policies: tuple[str, ...], balanced: bool = True) -> str:
    """What tables call a recipe, e.g. `InfoPro* K=4 + checkpointing`."""
    name = 'E2E' if modules == 1 else f'InfoPro{"*" if balanced else ""} K={modules}'
    recomputing = {policy for policy in policies if policy != PLAIN}
    if not recomputing:
        return name
    what = NAMES[recomputing.pop()] if len(recomputing) == 1 else 'mixed recomputation'
    count = sum(policy != PLAIN for policy in policies)
    return f'{name} + {what}' + ('' if count == modules else f' in {count} of {modules}')


def make_recipe(chain: Chain, partition: Partition, heads_recomputed: bool, balanced: bool = True) -> Recipe:
    """The recipe of a partition, its peak predicted by the additive model."""
    policies = tuple(segment.policy for segment in partition.segments)
    worst = max(partition.segments, key=lambda segment: segment.peak)
    return Recipe(
        name=recipe_name(len(policies), policies, balanced),
        cuts=tuple(chain.blocks[end - 1].name for end in partition.ends),
        policies=policies,
        heads_recomputed=heads_recomputed,
        peak=partition.peak,
        flops=partition.flops,
        bound=f'module {partition.segments.index(worst)}, {worst.where}',
    )
