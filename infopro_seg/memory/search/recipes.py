"""Recipes: ways to train a config's model, with the memory and FLOPs that each takes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from infopro_seg.config_edits import backbone_of, without_balance
from infopro_seg.memory.costs.chain import PLAIN, Chain
from infopro_seg.memory.quantities import GIB
from infopro_seg.memory.search.partition import Partition, module_peaks
from infopro_seg.memory.variants import lists_heads
from infopro_seg.models.recomputation.recompute_option import Option, show_option

Gradients: TypeAlias = Literal['exact', 'local', 'frozen']
OPTIMIZER = "the optimizer's step"  # what bounds a recipe that no recomputation makes smaller


@dataclass(frozen=True)
class Recipe:
    """One way to train, and what it takes.

    Args:
        name: its name in tables.
        cuts: names of the blocks after which gradients stop.
        recompute: what blocks recompute, see :mod:`infopro_seg.models.recomputation.recompute_option`.
        heads_recomputed: whether heads recompute norms and activations.
        peak: bytes at the peak of a step.
        flops: floating-point operations of a step.
        bound: what runs at the peak.
        traced: whether peak and FLOPs come from a traced step; else the additive model predicts them.
        stock: whether it is the reference, trained end to end with mmseg's own losses.
        frozen_stages: the encoder's option of that name; None for the config's own.
        accuracy: what is known about its accuracy; None if nothing.
        max_crop: height and width of the largest crop that fits the budget; None if unknown or none fits.
        max_batch: the largest batch that fits the budget; None if unknown or none fits.
    """

    name: str
    cuts: tuple[str, ...]
    recompute: Option
    heads_recomputed: bool
    peak: int
    flops: int
    bound: str
    traced: bool = False
    stock: bool = False
    frozen_stages: int | None = None
    accuracy: str | None = None
    max_crop: tuple[int, int] | None = None
    max_batch: int | None = None

    @property
    def gradients(self) -> Gradients:
        """Whether gradients are those of end-to-end training, of local losses, or missing for some blocks."""
        if self.cuts:
            return 'local'
        return 'exact' if self.frozen_stages is None else 'frozen'

    @property
    def modules(self) -> int:
        """Number of local modules."""
        return len(self.cuts) + 1

    @property
    def short_name(self) -> str:
        """Its name in plots."""
        return self.name.replace('InfoPro* ', '').replace('InfoPro ', '').replace(' + recomputation', '')

    @property
    def recomputing(self) -> bool:
        """Whether blocks recompute anything."""
        if isinstance(self.recompute, (bool, str)):
            return self.recompute not in (False, PLAIN)
        return any(item != PLAIN for item in self.recompute)

    def as_json(self, reference: Recipe, budget: int | None) -> dict[str, Any]:
        """The recipe beside the reference, for `--json`."""
        found: dict[str, Any] = {
            'recipe': self.name,
            'gradients': self.gradients,
            'modules': self.modules,
            'cuts': list(self.cuts),
            'checkpoint': self.recompute,
            'checkpoint_heads': self.heads_recomputed,
            'frozen_stages': self.frozen_stages,
            'peak_gib': round(self.peak / GIB, 4),
            'share_of_e2e': round(self.peak / reference.peak, 4),
            'flops_of_e2e': round(self.flops / reference.flops, 4),
            'accuracy': self.accuracy,
            'fits': None if budget is None else self.peak <= budget,
            'bound_by': self.bound,
            'traced': self.traced,
        }
        if self.max_crop is not None:
            found['max_crop'] = list(self.max_crop)
        if self.max_batch is not None:
            found['max_batch'] = self.max_batch
        return found

    def backbone_options(self) -> dict[str, Any]:
        """The options of the config's backbone for this recipe."""
        options: dict[str, Any] = {
            'cuts': self.cuts,
            'checkpoint': self.recompute,
            'checkpoint_heads': self.heads_recomputed,
        }
        if self.frozen_stages is not None:
            options['encoder'] = {'frozen_stages': self.frozen_stages}
        return options


def with_recipe(cfg: Any, recipe: Recipe) -> Any:
    """A copy of a config that trains by a recipe, its batch, crop and precision unchanged."""
    cfg = copy.deepcopy(cfg)
    backbone, options = backbone_of(cfg), recipe.backbone_options()
    backbone['encoder'].update(options.pop('encoder', {}))
    backbone.update(options, num_modules=None)
    if not recipe.cuts and lists_heads(cfg):
        backbone['local_head'] = None  # a list has one head per cut
    without_balance(backbone)
    return cfg


def make_recipe(chain: Chain, partition: Partition, heads_recomputed: bool, name: str) -> Recipe:
    """The recipe of a partition, its peak predicted by the additive model."""
    peaks = module_peaks(chain, partition)
    worst = peaks.index(max(peaks))
    blocks = [chain.names[module.start : module.end] for module in partition.modules]
    return Recipe(
        name=name,
        cuts=partition.cuts(chain),
        recompute=show_option(partition.segments, blocks),
        heads_recomputed=heads_recomputed,
        peak=partition.peak,
        flops=partition.flops,
        bound=OPTIMIZER
        if partition.peak > peaks[worst]
        else f'module {worst}, {partition.modules[worst].where}',
    )


def method_name(modules: int, balanced: bool = False) -> str:
    """The name of a number of modules in tables; a star marks cuts balanced by memory."""
    return 'E2E' if modules == 1 else f'InfoPro{"*" if balanced else ""} K={modules}'


def distinct(recipes: Sequence[Recipe]) -> list[Recipe]:
    """The recipes without repetitions: of those that train the same way, only the first."""
    found: dict[Any, Recipe] = {}
    for recipe in recipes:
        key = repr(
            (recipe.cuts, recipe.recompute, recipe.heads_recomputed, recipe.frozen_stages, recipe.stock)
        )
        found.setdefault(key, recipe)
    return list(found.values())
