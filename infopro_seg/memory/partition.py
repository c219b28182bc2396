"""The exact minimax partition of a chain into modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from infopro_seg.memory.costs import PLAIN, Chain
from infopro_seg.memory.segments import Segment, Segments


@dataclass(frozen=True)
class Partition:
    """A chain cut into modules.

    Args:
        segments: the modules in turn.
        peak: predicted bytes at the peak of a step.
        flops: floating-point operations of a step.
    """

    segments: tuple[Segment, ...]
    peak: int
    flops: int

    @property
    def ends(self) -> tuple[int, ...]:
        """Where the modules but the last end: the number of blocks before each cut."""
        return tuple(segment.end for segment in self.segments[:-1])


@dataclass(frozen=True)
class _Label:
    """A way to cut the first blocks: what its local heads own and their gradients, its peak so far."""

    owned: int
    gradients: int
    peak: int
    flops: int
    segments: tuple[Segment, ...]

    @property
    def preference(self) -> tuple[int, int, tuple[int, ...]]:
        return (self.flops, self.peak, tuple(s.end for s in self.segments))

    @property
    def rank(self) -> tuple[int, int, int, int, tuple[int, ...]]:
        return (self.peak, self.owned, self.gradients, self.flops, tuple(s.end for s in self.segments))


def balanced(segments: Segments, modules: int, policies: Sequence[str] | str = PLAIN) -> Partition:
    """The partition into `modules` modules with the smallest predicted peak (the paper's InfoPro*).

    Dynamic programming over the number of modules and the block they end with. Local heads make modules
    depend on each other, since each one's parameters are alive throughout and its gradients are alive
    in all later modules; so a state keeps every way to reach it that no other beats in all three of peak,
    owned bytes and gradients. Among equal peaks, fewer FLOPs and earlier cuts win.

    Args:
        segments: all possible modules.
        modules: number of modules.
        policies: what each module recomputes, or one for all.
    """
    if isinstance(policies, str):
        policies = [policies] * modules
    labels: dict[int, list[_Label]] = {0: [_Label(0, 0, 0, 0, ())]}
    for module in range(modules):
        last = module == modules - 1
        reached: dict[int, list[_Label]] = {}
        for start, ways in labels.items():
            for end in segments.chain.ends(module, modules, start):
                found = segments.segment(module, start, end, policies[module])
                reached.setdefault(end, []).extend(_extend(segments, way, found, last) for way in ways)
        labels = {end: _undominated(ways) for end, ways in reached.items()}
    finished = [_finish(segments, way) for way in labels[len(segments.chain.blocks)]]
    return min(finished, key=lambda partition: (partition.peak, partition.flops, partition.ends))


def cheapest(segments: Segments, modules: int, budget: int, policies: Sequence[str]) -> Partition | None:
    """The partition with the fewest FLOPs whose predicted peak fits a budget; None where none does.

    Each module takes the cheapest policy with which it fits. What local heads own is alive throughout, but
    is known only when all cuts are: the bytes to set aside for it start at none and grow until what is
    found fits.

    Args:
        segments: all possible modules.
        modules: number of modules.
        budget: bytes.
        policies: what modules may recompute; among equal FLOPs the first that fits is taken.
    """
    reserve = 0
    best: Partition | None = None
    while True:
        found = _cheapest(segments, modules, budget - segments.chain.fixed - reserve, policies)
        fitting = [partition for partition, _ in found if partition.peak <= budget]
        best = min([*fitting, *([best] if best else [])], key=_preference, default=None)
        # with more set aside, partitions that own more can only take more FLOPs than here
        larger = [(owned, partition.flops) for partition, owned in found if owned > reserve]
        if not larger or (best and best.flops <= min(flops for _, flops in larger)):
            return best
        reserve = min(owned for owned, _ in larger)


def _preference(partition: Partition) -> tuple[int, int, tuple[int, ...]]:
    return partition.flops, partition.peak, partition.ends


def _cheapest(
    segments: Segments, modules: int, room: int, policies: Sequence[str]
) -> list[tuple[Partition, int]]:
    """For each amount that local heads may own, the partition with the fewest FLOPs, and that amount."""
    count = len(segments.chain.blocks)
    labels: dict[int, dict[tuple[int, int], _Label]] = {0: {(0, 0): _Label(0, 0, 0, 0, ())}}
    for module in range(modules):
        last = module == modules - 1
        reached: dict[int, dict[tuple[int, int], _Label]] = {}
        for start, ways in labels.items():
            for end in segments.chain.ends(module, modules, start):
                options = [segments.segment(module, start, end, policy) for policy in policies]
                for way in ways.values():
                    fitting = [option for option in options if option.peak + way.gradients <= room]
                    if not fitting:
                        continue
                    option = min(fitting, key=lambda option: option.flops)  # the first of equals
                    grown = _extend(segments, way, option, last)
                    known = reached.setdefault(end, {})
                    key = grown.owned, grown.gradients
                    if key not in known or grown.preference < known[key].preference:
                        known[key] = grown
        labels = reached
    return [(_finish(segments, way), way.owned) for way in labels.get(count, {}).values()]


def partition_at(segments: Segments, ends: Sequence[int], policies: Sequence[str] | str = PLAIN) -> Partition:
    """The partition whose modules end after so many blocks, each module by its own policy."""
    count = len(segments.chain.blocks)
    bounds = [0, *ends, count]
    if isinstance(policies, str):
        policies = [policies] * (len(bounds) - 1)
    way = _Label(0, 0, 0, 0, ())
    for module, policy in enumerate(policies):
        found = segments.segment(module, bounds[module], bounds[module + 1], policy)
        way = _extend(segments, way, found, bounds[module + 1] == count)
    return _finish(segments, way)


def module_peaks(chain: Chain, partition: Partition) -> list[int]:
    """The predicted peak of each module, all that the model owns included."""
    heads = [chain.head(k, s.end - 1) for k, s in enumerate(partition.segments[:-1])]
    gradients = [head.cost.gradients for head in heads]
    base = chain.fixed + sum(head.owned for head in heads)
    if chain.accumulated:
        base += sum(gradients)
        gradients = [0] * len(gradients)
    return [base + s.peak + sum(gradients[:k]) for k, s in enumerate(partition.segments)]


def _extend(segments: Segments, way: _Label, found: Segment, last: bool) -> _Label:
    peak = max(way.peak, found.peak + way.gradients)
    owned = gradients = 0
    if not last:
        head = segments.chain.head(len(way.segments), found.end - 1)
        owned, gradients = head.owned, head.cost.gradients
        if segments.chain.accumulated:  # alive throughout, as what is owned
            owned, gradients = owned + gradients, 0
    return _Label(
        way.owned + owned,
        way.gradients + gradients,
        peak,
        way.flops + found.flops,
        (*way.segments, found),
    )


def _undominated(ways: list[_Label]) -> list[_Label]:
    kept: list[_Label] = []
    for way in sorted(ways, key=lambda way: way.rank):
        if not any(other.owned <= way.owned and other.gradients <= way.gradients for other in kept):
            kept.append(way)
    return kept


def _finish(segments: Segments, way: _Label) -> Partition:
    chain = segments.chain
    gradients = 0 if chain.accumulated else way.gradients + chain.gradients
    temporary = int((way.gradients + chain.gradients) * chain.optimizer_share)
    peak = chain.fixed + way.owned + max(way.peak, gradients + temporary + chain.labels)
    return Partition(way.segments, peak, way.flops)
