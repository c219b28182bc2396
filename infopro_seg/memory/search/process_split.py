"""The memory of each process in module-parallel training, and cuts that balance their time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from infopro_seg.errors import ConfigError
from infopro_seg.memory.costs.chain import PLAIN, Chain
from infopro_seg.memory.costs.module_costs import ModuleCost, ModuleCosts
from infopro_seg.memory.quantities import show_bytes
from infopro_seg.memory.search.partition import Partition, assembled
from infopro_seg.models.recomputation.recompute_option import Option, module_texts, segments_between

OUTSTANDING = 2  # most messages that wait in main memory for the next process


@dataclass(frozen=True)
class ProcessCost:
    """A process that trains one local module.

    Args:
        module: the module that it trains.
        peak: predicted peak bytes on the GPU in a step.
        sent: bytes sent per iteration.
        waiting: bytes of main memory for messages: those that wait, and the one being received.
    """

    module: ModuleCost
    peak: int
    sent: int
    waiting: int

    @property
    def flops(self) -> int:
        """Floating-point operations of its step, which compare the speed of processes on equal cards."""
        return self.module.flops


def process_cost(chain: Chain, index: int, module: ModuleCost) -> ProcessCost:
    """The cost of a process that trains the local module `index`.

    Its peak is that of the module, with its own parameters and optimizer state only, and without the
    gradients of earlier blocks, which other processes hold. Messages are in main memory, also between GPUs.
    """
    blocks = chain.blocks[module.start : module.end]
    last = module.end == len(chain.blocks)
    head = None if last else chain.head(index, module.end - 1)
    closing = chain.tails[0][0].gradients if head is None else head.cost.gradients
    gradients = closing + sum(block.gradients for block in blocks)
    owned = sum(block.owned for block in blocks) + (chain.owned if head is None else head.owned)
    before = 0 if chain.accumulated else sum(block.gradients for block in chain.blocks[: module.start])
    step = int(gradients * chain.optimizer_share)
    alive = owned + (gradients if chain.accumulated else 0)
    in_step = step if chain.accumulated else gradients + step
    sent = 0 if last else _sent(chain, module.end)
    waiting = OUTSTANDING * sent + (_sent(chain, module.start) if module.start else 0)
    return ProcessCost(module, alive + max(module.peak - before, in_step), sent, waiting)


def process_costs(chain: Chain, partition: Partition) -> list[ProcessCost]:
    """The cost of the process of each module."""
    return [process_cost(chain, index, module) for index, module in enumerate(partition.modules)]


def balanced_by_flops(
    costs: ModuleCosts, modules: int, option: Option = PLAIN, budgets: Sequence[int] | None = None
) -> Partition:
    """The partition that minimises the largest FLOPs of a module, including local heads.

    In module-parallel training the slowest process sets the pace. Among equal partitions, fewer total FLOPs
    and earlier cuts win.

    Args:
        costs: the costs of all modules.
        modules: number of modules.
        option: the option `checkpoint` of a config.
        budgets: bytes that the process of each module may take; None for no limit.

    Raises:
        ConfigError: the number of budgets is not that of the modules, or no cuts make every module fit.
    """
    if budgets is not None and len(budgets) != modules:
        raise ConfigError(
            f'{len(budgets)} budgets for {modules} local modules; give one per module, in their order'
        )
    chain = costs.chain
    names = chain.names
    ways: dict[int, tuple[ModuleCost, ...]] = {0: ()}
    for index, text in enumerate(module_texts(option, modules)):
        reached: dict[int, list[tuple[ModuleCost, ...]]] = {}
        for start, way in ways.items():
            for end in chain.ends(index, modules, start):
                found = costs.cost(index, start, end, segments_between(text, names, start, end))
                if budgets is None or process_cost(chain, index, found).peak <= budgets[index]:
                    reached.setdefault(end, []).append((*way, found))
        ways = {end: min(candidates, key=_rank) for end, candidates in reached.items()}
    best = ways.get(len(names))
    if best is None:
        shown = ', '.join(show_bytes(budget, max(budgets or [0])) for budget in budgets or ())
        raise ConfigError(
            f'no cuts make {modules} local modules fit {shown}; raise the budgets, use more modules, or let '
            "the modules recompute (checkpoint='norms' of the backbone)"
        )
    return assembled(costs, best)


def _rank(way: Sequence[ModuleCost]) -> tuple[int, int, tuple[int, ...]]:
    flops = [module.flops for module in way]
    return max(flops), sum(flops), tuple(module.end for module in way)


def _sent(chain: Chain, end: int) -> int:
    """Bytes of a message: the state at the cut, states of earlier outputs, images and labels as bytes."""
    states = {output for output in chain.outputs if output < end} | {end - 1}
    return sum(chain.blocks[index].state for index in states) + chain.inputs // 4 + chain.labels // 8
