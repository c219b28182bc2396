"""Partitions of a chain into modules, and the exact minimax one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from infopro_seg.memory.costs.chain import PLAIN, Chain
from infopro_seg.memory.costs.module_costs import ModuleCost, ModuleCosts
from infopro_seg.models.recomputation.recompute_option import (
    Option,
    Segment,
    module_segments,
    module_texts,
    segments_between,
)


@dataclass(frozen=True)
class Partition:
    """A chain cut into modules.

    Args:
        modules: the modules in order.
        peak: predicted peak bytes of a step.
        flops: floating-point operations of a step.
    """

    modules: tuple[ModuleCost, ...]
    peak: int
    flops: int

    @property
    def ends(self) -> tuple[int, ...]:
        """The number of blocks before each cut."""
        return tuple(module.end for module in self.modules[:-1])

    def cuts(self, chain: Chain) -> tuple[str, ...]:
        """The names of the blocks before each cut."""
        return tuple(chain.blocks[end - 1].name for end in self.ends)

    @property
    def segments(self) -> tuple[tuple[Segment, ...], ...]:
        """What each module recomputes."""
        return tuple(module.segments for module in self.modules)


@dataclass(frozen=True)
class _Label:
    """A way to cut the first blocks: bytes of its local heads and of their gradients, and its peak so far."""

    owned: int = 0
    gradients: int = 0
    peak: int = 0
    flops: int = 0
    modules: tuple[ModuleCost, ...] = ()

    @property
    def rank(self) -> tuple[int, int, int, int, tuple[int, ...]]:
        return (self.peak, self.owned, self.gradients, self.flops, tuple(m.end for m in self.modules))


def balanced(costs: ModuleCosts, modules: int, option: Option = PLAIN) -> Partition:
    """The partition into `modules` modules with the smallest predicted peak (the paper's InfoPro*).

    This is dynamic programming over the number of modules and their last block. Local heads make modules
    depend on each other: their parameters are alive throughout, and their gradients in all later modules. So
    each state keeps all ways that are Pareto-optimal in peak, owned bytes and gradients. Among equal peaks,
    fewer FLOPs and earlier cuts win.

    Args:
        costs: the costs of all modules.
        modules: number of modules.
        option: the option `checkpoint` of a config, if it does not name single blocks.
    """
    texts = module_texts(option, modules)
    names = costs.chain.names
    labels: dict[int, list[_Label]] = {0: [_Label()]}
    for module, text in enumerate(texts):
        last = module == modules - 1
        reached: dict[int, list[_Label]] = {}
        for start, ways in labels.items():
            for end in costs.chain.ends(module, modules, start):
                found = costs.cost(module, start, end, segments_between(text, names, start, end))
                reached.setdefault(end, []).extend(_extend(costs, way, found, last) for way in ways)
        labels = {end: _undominated(ways) for end, ways in reached.items()}
    finished = [_finish(costs, way) for way in labels[len(costs.chain.blocks)]]
    return min(finished, key=lambda partition: (partition.peak, partition.flops, partition.ends))


def partition_at(costs: ModuleCosts, ends: Sequence[int], option: Option = PLAIN) -> Partition:
    """The partition with the given numbers of blocks before its cuts, and the option `checkpoint`."""
    names = costs.chain.names
    bounds = [0, *ends, len(names)]
    modules = [names[start:end] for start, end in pairwise(bounds)]
    segments = module_segments(option, modules)
    return assembled(
        costs, [costs.cost(k, bounds[k], bounds[k + 1], part) for k, part in enumerate(segments)]
    )


def assembled(costs: ModuleCosts, modules: Sequence[ModuleCost]) -> Partition:
    """The partition of given modules."""
    way = _Label()
    for index, module in enumerate(modules):
        way = _extend(costs, way, module, index == len(modules) - 1)
    return _finish(costs, way)


def module_peaks(chain: Chain, partition: Partition) -> list[int]:
    """The predicted peak of each module, including all that the model owns."""
    heads = [chain.head(k, module.end - 1) for k, module in enumerate(partition.modules[:-1])]
    gradients = [head.cost.gradients for head in heads]
    base = chain.fixed + sum(head.owned for head in heads)
    if chain.accumulated:
        base += sum(gradients)
        gradients = [0] * len(gradients)
    return [base + module.peak + sum(gradients[:k]) for k, module in enumerate(partition.modules)]


def head_bytes(chain: Chain, module: int, end: int) -> tuple[int, int]:
    """The bytes that a local head owns, and those of its gradients in later modules."""
    head = chain.head(module, end - 1)
    owned, gradients = head.owned, head.cost.gradients
    return (owned + gradients, 0) if chain.accumulated else (owned, gradients)


def _extend(costs: ModuleCosts, way: _Label, found: ModuleCost, last: bool) -> _Label:
    owned, gradients = (0, 0) if last else head_bytes(costs.chain, len(way.modules), found.end)
    return _Label(
        way.owned + owned,
        way.gradients + gradients,
        max(way.peak, found.peak + way.gradients),
        way.flops + found.flops,
        (*way.modules, found),
    )


def _undominated(ways: list[_Label]) -> list[_Label]:
    kept: list[_Label] = []
    for way in sorted(ways, key=lambda way: way.rank):
        if not any(other.owned <= way.owned and other.gradients <= way.gradients for other in kept):
            kept.append(way)
    return kept


def _finish(costs: ModuleCosts, way: _Label) -> Partition:
    chain = costs.chain
    gradients = 0 if chain.accumulated else way.gradients + chain.gradients
    temporary = int((way.gradients + chain.gradients) * chain.optimizer_share)
    peak = chain.fixed + way.owned + max(way.peak, gradients + temporary)
    return Partition(way.modules, peak, way.flops)
