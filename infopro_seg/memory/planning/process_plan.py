"""Plans one process per local module: the memory of each process, and the speed of all together."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from rich.table import Table

from infopro_seg.consoles import new_table
from infopro_seg.errors import UserError
from infopro_seg.memory.costs.module_costs import ModuleCosts
from infopro_seg.memory.quantities import fits_text, parse_bytes, unit_for
from infopro_seg.memory.search.cuts import check_balance, profile_modules
from infopro_seg.memory.search.partition import partition_at
from infopro_seg.memory.search.process_split import ProcessCost, balanced_by_flops, process_costs
from infopro_seg.memory.tracing.training_setup import TrainingSetup


@dataclass(frozen=True)
class ProcessPlan:
    """A way to divide a network among processes.

    Args:
        name: how its cuts were found.
        cuts: names of the blocks before each cut.
        blocks: the first and the last block of each process.
        processes: the cost of each process.
    """

    name: str
    cuts: tuple[str, ...]
    blocks: tuple[tuple[str, str], ...]
    processes: tuple[ProcessCost, ...]

    @property
    def speedup(self) -> float:
        """Predicted throughput, relative to one process: the process with the most FLOPs sets the pace."""
        flops = [process.flops for process in self.processes]
        return sum(flops) / max(flops)

    def rank_of(self, module: int) -> int:
        """The rank that trains a module; rank 0 trains the last module, where all losses come together."""
        return len(self.processes) - 1 - module

    def as_json(self) -> dict[str, Any]:
        """The plan for `--json`."""
        rows = [
            {
                'blocks': list(ends),
                'rank': self.rank_of(index),
                'peak_bytes': cost.peak,
                'flops': cost.flops,
                'sent_bytes': cost.sent,
                'main_memory_bytes': cost.waiting,
            }
            for index, (ends, cost) in enumerate(zip(self.blocks, self.processes, strict=True))
        ]
        return {'name': self.name, 'cuts': list(self.cuts), 'speedup': self.speedup, 'processes': rows}


def plan_processes(
    cfg: Config, setup: TrainingSetup, modules: int | None = None, budgets: Sequence[int] | None = None
) -> list[ProcessPlan]:
    """Plans the config's own cuts, if it has any, and the cuts that balance FLOPs.

    Args:
        cfg: a config with an `InfoProBackbone`.
        setup: batch, crop and precision.
        modules: number of processes; by default that of the budgets, or of local modules in the config.
        budgets: bytes that each process may take, in the order of the modules; None for no limit.

    Raises:
        ConfigError: the encoder cannot be split into so many modules, or no cuts make them fit the budgets.
        UserError: neither the arguments nor the config name two modules or more.
    """
    backbone = cfg.model.backbone
    own = tuple(backbone.get('cuts') or ())
    count = modules or (len(budgets) if budgets else backbone.get('num_modules') or len(own) + 1)
    if count < 2:
        raise UserError('--module-parallel divides the encoder among processes; add e.g. --modules 2')
    option = backbone.get('checkpoint', False)
    cfg = copy.deepcopy(cfg)
    cfg.model.backbone.pop('num_modules', None)
    chain = profile_modules(cfg, count, setup)
    costs, names = ModuleCosts(chain), chain.names
    found = []
    if len(own) == count - 1 and set(own) <= set(names):
        found.append(
            ('cuts of the config', partition_at(costs, [names.index(cut) + 1 for cut in own], option))
        )
    found.append(('balanced by FLOPs', balanced_by_flops(costs, count, option, budgets)))
    return [
        ProcessPlan(
            name,
            partition.cuts(chain),
            tuple((names[module.start], names[module.end - 1]) for module in partition.modules),
            tuple(process_costs(chain, partition)),
        )
        for name, partition in found
    ]


def own_budgets(backbone: Any, modules: int | None = None) -> list[int] | None:
    """The bytes that each process may take by the config, by which a training finds its cuts; None if none.

    Args:
        backbone: config of the backbone.
        modules: number of processes, if it is not the config's; for another number the budgets do not count.

    Raises:
        ConfigError: the budgets are no texts, or do not go with the other options.
    """
    count, budgets = backbone.get('num_modules'), backbone.get('budgets')
    if count is None or budgets is None or modules not in (None, count):
        return None
    check_balance(backbone.get('balance', 'memory'), budgets, count)
    return [parse_bytes(text) for text in budgets]


def processes_table(
    plans: Sequence[ProcessPlan], setup: TrainingSetup, budgets: Sequence[int] | None = None
) -> Table:
    """The plans as a table, a row per process."""
    unit = unit_for(max(process.peak for plan in plans for process in plan.processes))
    columns = ['cuts', 'module', 'rank', 'blocks', f'peak {unit.name}', 'fits', 'GFLOPs', 'share']
    table = new_table(
        f'One local module per process: {setup}',
        [*columns, 'sends MiB', 'messages MiB'],
        texts=('cuts', 'blocks'),
    )
    for plan in plans:
        whole = sum(process.flops for process in plan.processes)
        for index, (process, ends) in enumerate(zip(plan.processes, plan.blocks, strict=True)):
            table.add_row(
                plan.name if index == 0 else '',
                str(index),
                str(plan.rank_of(index)),
                ends[0] if ends[0] == ends[1] else f'{ends[0]} to {ends[1]}',
                unit.number(process.peak),
                fits_text(process.peak, budgets[index] if budgets else None),
                f'{process.flops / 1e9:.1f}',
                f'{process.flops / whole:.3f}',
                f'{process.sent / 2**20:.1f}',
                f'{process.waiting / 2**20:.1f}',
            )
    return table


def processes_verdict(plans: Sequence[ProcessPlan]) -> str:
    """The predicted throughput of each plan, compared with one process and with DDP."""
    count = len(plans[0].processes)
    lines = [
        f'{plan.name}: {plan.speedup:.2f} times the images per second of one process, by FLOPs, without the '
        'time for messages'
        for plan in plans
    ]
    lines.append(
        f'DDP on {count} equal cards: up to {float(count):.2f} times, with a batch of this size on each, and '
        'the memory of one process on each'
    )
    lines.append(
        'messages: main memory for messages that wait, and for the one being received; the peak counts only '
        'memory of the GPU'
    )
    lines.append(
        'rank 0, on the first GPU, trains the last module: CUDA_VISIBLE_DEVICES sets the order of the GPUs'
    )
    lines.append(f'cuts by FLOPs: {plans[-1].cuts}')
    return '\n'.join(lines)
