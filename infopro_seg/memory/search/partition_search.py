"""Searches cuts and recomputation together: fewest FLOPs within a peak, or smallest peak within FLOPs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from infopro_seg.memory.search.module_search import ModuleSearch
from infopro_seg.memory.search.partition import Partition, assembled, head_bytes, module_peaks

Key: TypeAlias = tuple[int, int]  # bytes of the local heads so far, and of their gradients
Floats: TypeAlias = NDArray[np.float64]
STEPS = 160  # peaks to try in one pass; two passes come within 0.1 % of the smallest
ATTEMPTS = 4  # to fit a budget, as the search leaves some bytes out
DEEPEST = 64  # the smallest peak to try is 1/64 of the whole chain's


@dataclass
class _Cell:
    """The fewest FLOPs to reach a block for each allowed peak, and the modules that do so."""

    flops: Floats
    origins: list[tuple[int, Key]]  # the start of the last module, and the key there
    choice: NDArray[np.int64]


_Cells: TypeAlias = dict[int, dict[Key, _Cell]]


class PartitionSearch:
    """Searches all partitions of a chain, with all ways to recompute blocks of their modules.

    Given the largest allowed peak, each module takes the fitting point of its frontier with the fewest
    FLOPs, and dynamic programming finds the cuts. One pass tries many peaks. The bytes of local heads are
    alive throughout, so they reduce the budget; the search keeps partitions with different bytes apart.

    Args:
        search: the search within modules.
    """

    def __init__(self, search: ModuleSearch) -> None:
        self.search = search
        self.costs = search.costs

    def fewest_flops(self, modules: int, budget: int) -> Partition | None:
        """The partition with the fewest FLOPs and a predicted peak within a budget; None if there is none."""
        chain = self.costs.chain
        count = len(chain.blocks)
        room = budget - chain.fixed
        for _ in range(ATTEMPTS):
            keys = self._cells(modules, np.array([room], float))[-1].get(count, {})
            rooms = np.array(sorted({room - owned for owned, _ in keys}), float)
            steps = self._cells(modules, rooms)
            found = []
            for key, cell in steps[-1].get(count, {}).items():
                index = int(np.searchsorted(rooms, room - key[0]))
                if np.isfinite(cell.flops[index]):
                    found.append((cell.flops[index], key, index))
            if not found:
                return None
            partitions = [self._partition(steps, key, index, rooms) for _, key, index in sorted(found)]
            fitting = [partition for partition in partitions if partition.peak <= budget]
            if fitting:
                return min(fitting, key=lambda one: (one.flops, one.peak))
            room -= min(partition.peak for partition in partitions) - budget  # what the search left out
        return None

    def fewest_bytes(self, modules: int, flops: float) -> Partition | None:
        """The partition with the smallest predicted peak within a limit of FLOPs; None if there is none."""
        whole = float(self.search.frontier(0, 0, len(self.costs.chain.blocks)).peaks[0])
        low, high = whole / DEEPEST, 2 * whole  # a local head may take more than the whole chain
        best: Partition | None = None
        for _ in range(2):
            rooms = np.append(np.floor(np.geomspace(low, high, STEPS)), np.inf)
            steps = self._cells(modules, rooms)
            for key, cell in steps[-1].get(len(self.costs.chain.blocks), {}).items():
                fitting = np.flatnonzero(np.isfinite(cell.flops) & (cell.flops <= flops))
                if len(fitting):
                    found = self._partition(steps, key, int(fitting[0]), rooms)
                    if best is None or (found.peak, found.flops) < (best.peak, best.flops):
                        reached = max(module.peak for module in found.modules)
                        best, window = found, (rooms[max(fitting[0] - 2, 0)], float(reached))
            if best is None:
                return None
            low, high = window
        if best is not None and best.peak > max(module_peaks(self.costs.chain, best)):
            cheaper = self.fewest_flops(modules, best.peak)  # the optimizer's step takes most in any case
            best = min((one for one in (cheaper, best) if one), key=lambda one: (one.peak, one.flops))
        return best

    def within(self, ends: Sequence[int], budget: int) -> Partition | None:
        """The partition at given cuts with the fewest FLOPs within a budget; None if there is none.

        Args:
            ends: the numbers of blocks before each cut.
            budget: bytes.
        """
        chain = self.costs.chain
        heads = [head_bytes(chain, module, end) for module, end in enumerate(ends)]
        room = budget - chain.fixed - sum(owned for owned, _ in heads)
        found = []
        for module, (start, end) in enumerate(pairwise([0, *ends, len(chain.blocks)])):
            frontier = self.search.frontier(module, start, end)
            index = frontier.fitting(room - sum(gradients for _, gradients in heads[:module]))
            if index == len(frontier.peaks):
                return None
            found.append(self.costs.cost(module, start, end, frontier.segments(index)))
        return assembled(self.costs, found)

    def simplified(self, partition: Partition, peak: int, flops: float) -> Partition:
        """A partition with the same cuts and, if the limits allow, fewer runs of equal segments.

        Args:
            partition: a partition within the limits.
            peak: largest allowed peak, in bytes.
            flops: largest allowed FLOPs.
        """
        chosen = list(partition.modules)
        room = peak - partition.peak + max(module.peak for module in chosen)
        spare = flops - partition.flops
        for index, module in enumerate(chosen):
            allowed = module.flops + spare / (len(chosen) - index)
            simple = self.search.simplest(index, module.start, module.end, room, allowed)
            if simple is not None:
                trial = [*chosen[:index], simple, *chosen[index + 1 :]]
                if assembled(self.costs, trial).peak <= peak:
                    chosen, spare = trial, spare - (simple.flops - module.flops)
        return assembled(self.costs, chosen)

    def _cells(self, modules: int, rooms: Floats) -> list[_Cells]:
        """After each module: by block and key, the fewest FLOPs for each peak."""
        chain = self.costs.chain
        start: _Cells = {0: {(0, 0): _Cell(np.zeros(len(rooms)), [], np.zeros(len(rooms), np.int64))}}
        steps = [start]
        for module in range(modules):
            last = module == modules - 1
            reached: dict[int, dict[Key, list[tuple[Floats, tuple[int, Key]]]]] = {}
            for begin, cells in steps[-1].items():
                for end in chain.ends(module, modules, begin):
                    owned, gradients = (0, 0) if last else head_bytes(chain, module, end)
                    for key, cell in cells.items():
                        flops = cell.flops + self._flops(module, begin, end, rooms - key[1])
                        if np.isfinite(flops).any():
                            grown = key[0] + owned, key[1] + gradients
                            reached.setdefault(end, {}).setdefault(grown, []).append((flops, (begin, key)))
            steps.append(
                {end: {key: _joined(ways) for key, ways in by.items()} for end, by in reached.items()}
            )
        return steps

    def _flops(self, module: int, start: int, end: int, rooms: Floats) -> Floats:
        frontier = self.search.frontier(module, start, end)
        index = np.searchsorted(-frontier.peaks, -rooms)
        found: Floats = np.append(frontier.flops.astype(float), np.inf)[index]
        return found

    def _partition(self, steps: list[_Cells], key: Key, index: int, rooms: Floats) -> Partition:
        """The partition of a cell in the last step, for one of the allowed peaks."""
        end, found = len(self.costs.chain.blocks), []
        for module in reversed(range(len(steps) - 1)):
            cell = steps[module + 1][end][key]
            start, key = cell.origins[cell.choice[index]]
            frontier = self.search.frontier(module, start, end)
            segments = frontier.segments(frontier.fitting(rooms[index] - key[1]))
            found.append(self.costs.cost(module, start, end, segments))
            end = start
        return assembled(self.costs, found[::-1])


def _joined(ways: list[tuple[Floats, tuple[int, Key]]]) -> _Cell:
    stacked = np.stack([flops for flops, _ in ways])
    return _Cell(stacked.min(0), [origin for _, origin in ways], stacked.argmin(0))
