"""Finds the exact frontier of peak and FLOPs in one module, over all ways to recompute its blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from infopro_seg.memory.costs.module_costs import ModuleCost, ModuleCosts, Place
from infopro_seg.models.recomputation.recompute import POLICIES, Policy
from infopro_seg.models.recomputation.recompute_option import KEPT, Segment, divided

Numbers: TypeAlias = NDArray[np.int64]
LONGEST = 12  # blocks of the longest segment; longer ones hold too much at once to be useful
RUNS = 4  # most runs of equal segments of a module that counts as simple


class Way(NamedTuple):
    """Successive segments, and their costs above what is alive before them.

    Args:
        segments: the segments.
        enter: peak bytes in the forward pass of the first segment.
        low: peak bytes later, if nothing of the input is dropped.
        kept: bytes that the segments keep, if nothing of the input is dropped.
        unread: bytes of the input that they do not keep.
        released: bytes of the output that only its reader keeps.
        flops: floating-point operations of forward and backward.
    """

    segments: tuple[Segment, ...]
    enter: int
    low: int
    kept: int
    unread: int
    released: int
    flops: int

    @property
    def length(self) -> int:
        """Number of blocks."""
        return sum(segment.length for segment in self.segments)


@dataclass(frozen=True)
class Frontier:
    """The Pareto-optimal ways, in peak and FLOPs, from a block to the end of a module.

    Args:
        peaks: peak bytes above those alive before the block; descending.
        flops: FLOPs of the rest of the module; ascending.
        choices: the ways that may come first, each with the frontier after it.
        first: for each point, the index of its choice.
        rest: for each point, the index of its point on the frontier after that choice.
    """

    peaks: Numbers
    flops: Numbers
    choices: tuple[tuple[Way, Frontier], ...]
    first: Numbers
    rest: Numbers

    def segments(self, index: int) -> tuple[Segment, ...]:
        """The segments of a point."""
        if not self.choices:
            return ()
        way, after = self.choices[self.first[index]]
        return (*way.segments, *after.segments(int(self.rest[index])))

    def fitting(self, peak: float) -> int:
        """The index of the first point within a peak; the number of points if there is none."""
        return int(np.searchsorted(-self.peaks, -peak))


class ModuleSearch:
    """Searches the segments of modules.

    This is dynamic programming from the end of a module to its start. The bytes of later blocks, above those
    alive before them, do not depend on earlier blocks. So of two ways to the end with equal FLOPs, the one
    with the lower peak is never worse, and only that one is kept. How much of its input a segment drops
    depends on how much the previous segment keeps; there is a frontier for each amount.

    The search leaves out weights that autocast caches in half precision, and counts gradients of blocks that
    two modules share twice. The costs of the modules that it returns are correct.

    Args:
        costs: the costs of modules.
        policies: what segments may recompute.
        longest: longest segment, in blocks.
    """

    def __init__(
        self, costs: ModuleCosts, policies: Sequence[Policy] = POLICIES, longest: int = LONGEST
    ) -> None:
        self.costs = costs
        self.policies = [policy for policy in policies if policy != KEPT.policy]
        self._first = (KEPT.policy, *self.policies)
        self.longest = longest
        gradients = (0 if costs.chain.accumulated else block.gradients for block in costs.chain.blocks)
        self._gradients = list(accumulate(gradients, initial=0))  # of all blocks before each block
        self._frontiers = cache(self._whole)
        self._after = cache(self._suffix)
        self._runs = cache(self._run)

    def frontier(self, module: int, start: int, end: int, runs: int | None = None) -> Frontier:
        """The frontier of a module, with peaks as in :class:`ModuleCost`.

        Args:
            module: index of the module.
            start: index of its first block.
            end: index after its last block.
            runs: maximum number of runs of equal segments, None for any number.
        """
        return self._frontiers(self.costs.row(module), start, end, runs)

    def simplest(self, module: int, start: int, end: int, peak: int, flops: float) -> ModuleCost | None:
        """The module with the fewest runs of equal segments within a peak and a number of FLOPs."""
        for runs in range(1, RUNS + 1):
            found = self._first_within(module, start, end, peak, runs)
            if found is not None and found.flops <= flops:
                return found
        found = self._first_within(module, start, end, peak, None)
        return found if found is not None and found.flops <= flops else None

    def _first_within(
        self, module: int, start: int, end: int, peak: int, runs: int | None
    ) -> ModuleCost | None:
        frontier = self.frontier(module, start, end, runs)
        for index in range(frontier.fitting(peak), len(frontier.peaks)):
            found = self.costs.cost(module, start, end, frontier.segments(index))
            if found.peak <= peak:  # under autocast the real peak may exceed the searched one
                return found
        return None

    def _whole(self, row: int, start: int, end: int, runs: int | None) -> Frontier:
        place = self.costs.place(row, start, end)
        rest = replace(place, held=0)
        found = self._merged(rest, start, end, None, runs)
        offset = place.held + self.costs.offsets.get(self.costs.position(start, end), 0)
        return replace(found, peaks=found.peaks + offset)

    def _suffix(self, place: Place, start: int, end: int, released: int, runs: int | None) -> Frontier:
        """The frontier from a block after the first, if the previous segment releases this many bytes."""
        if start == end:
            closing = place.closing
            peak = max(closing.forward_rise, closing.backward_rise - place.unread)
            nothing = np.zeros(1, np.int64)
            return Frontier(np.array([peak]), np.array([closing.flops]), (), nothing, nothing)
        return self._merged(place, start, end, released, runs)

    def _merged(self, place: Place, start: int, end: int, released: int | None, runs: int | None) -> Frontier:
        """Merges the frontiers after all possible first ways; `released` is None at the start of a module."""
        chain, choices, peaks, flops = self.costs.chain, [], [], []
        for way in self._ways(place, start, end, released is None, runs):
            drop = way.unread if released is None else min(way.unread, released)
            drop = 0 if start - 1 in chain.outputs else drop
            after = self._rest(place, start + way.length, end, way.released, runs)
            if after is not None and len(after.peaks):  # empty where more runs are needed than are left
                choices.append((way, after))
                below = max(way.enter, way.low - drop)
                peaks.append(np.maximum(below, way.kept - drop + after.peaks))
                flops.append(way.flops + after.flops)
        if not choices:
            nothing = np.zeros(0, np.int64)
            return Frontier(nothing, nothing, (), nothing, nothing)
        sizes = [len(part) for part in peaks]
        first = np.repeat(np.arange(len(choices)), sizes)
        rest = np.concatenate([np.arange(size) for size in sizes])
        peak, flop = np.concatenate(peaks), np.concatenate(flops)
        order = np.lexsort((peak, flop))
        lowest = np.minimum.accumulate(peak[order])
        better = np.r_[True, lowest[1:] < lowest[:-1]]
        kept = order[better]
        return Frontier(peak[kept], flop[kept], tuple(choices), first[kept], rest[kept])

    def _rest(self, place: Place, start: int, end: int, released: int, runs: int | None) -> Frontier | None:
        if start < end and runs == 1:
            return None
        if start == end:
            return self._after(place, end, end, 0, None)
        unread = (self.costs.segment(start, Segment(policy, 1), False).unread for policy in self._first)
        return self._after(place, start, end, released if any(unread) else 0, runs and runs - 1)

    def _options(self, room: int) -> list[Segment]:
        lengths = range(1, min(self.longest, room) + 1)
        return [KEPT, *(Segment(policy, length) for policy in self.policies for length in lengths)]

    def _ways(self, place: Place, start: int, end: int, first: bool, runs: int | None) -> list[Way]:
        """The possible first ways, up to the next output: a segment, or a run of equal segments."""
        outputs = self.costs.chain.outputs
        room = min((output + 1 for output in outputs if start <= output < end), default=end) - start
        options = self._options(room)
        if runs is None:
            return [self._runs(place, start, option.length, option, end, first) for option in options]
        return [
            self._runs(place, start, count, option, end, first)
            for count in range(1, room + 1)
            for option in options
            if option.length <= count
        ]

    def _run(self, place: Place, start: int, count: int, kind: Segment, end: int, first: bool) -> Way:
        """A run of equal segments over `count` blocks, the last perhaps shorter."""
        costs = self.costs
        segments = divided(kind.policy, kind.length, count)
        enter = low = now = unread = flops = 0
        at, before = start, None
        for segment in segments:
            piece = costs.segment(at, segment, first and at == start)
            if before is None:
                enter, unread = piece.forward_rise, piece.unread
            else:
                low = max(low, now + piece.forward_rise)
                now -= costs.dropped(at, piece, before)
            after = at + segment.length
            beside = costs.waiting(place, at, after, end, piece) + place.gradients
            beside += self._gradients[end] - self._gradients[after]
            low = max(low, now - place.gone + piece.backward_rise + beside)
            now += piece.kept
            flops += piece.flops
            at, before = after, piece
        released = 0 if before is None else before.released
        return Way(segments, enter, low, now, unread, released, flops)
