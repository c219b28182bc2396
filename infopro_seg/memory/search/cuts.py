"""Balanced cuts: `num_modules=K` in a config becomes the cuts with the smallest peak (InfoPro*)."""

from __future__ import annotations

import copy
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger

from infopro_seg.config_edits import backbone_of, without_balance, without_turn
from infopro_seg.errors import ConfigError
from infopro_seg.memory.costs.chain import Chain
from infopro_seg.memory.costs.module_costs import ModuleCosts, Position
from infopro_seg.memory.costs.profile import profile_chain
from infopro_seg.memory.quantities import parse_bytes, unit_for
from infopro_seg.memory.search.partition import Partition, balanced, module_peaks
from infopro_seg.memory.search.process_split import balanced_by_flops
from infopro_seg.memory.tracing.step import StepTrace, trace_step
from infopro_seg.memory.tracing.training_setup import TrainingSetup, training_setup
from infopro_seg.memory.variants import lists_heads, with_listed_heads
from infopro_seg.models.recomputation.recompute import POLICIES
from infopro_seg.models.recomputation.recompute_option import module_texts

ATTEMPTS = 4  # partitions to trace whole, if the additive model is not exact
EXACT = 1e-3  # relative difference between trace and model up to which the model counts as exact


def resolve_cuts(cfg: Config) -> Config:
    """Replaces `num_modules=K` of a config's backbone by the cuts that balance its memory.

    The cuts are the exact minimax partition of the encoder by traced peak, for the config's own crop, batch,
    precision, heads and `checkpoint`. With `balance='flops'` they are the minimax partition by FLOPs, for one
    process per module; with `budgets=('8GiB', '24GiB')`, each module also fits its own budget. Equal configs
    always give equal cuts. A config without `num_modules`, or with cuts from an earlier call, is returned
    unchanged. Dumped configs and checkpoints contain the cuts.

    Raises:
        ConfigError: `num_modules` is not between 1 and the number of blocks, the model cannot be split, or
            `checkpoint` does not list one policy per module.
    """
    backbone = cfg.get('model', {}).get('backbone') or {}
    modules = backbone.get('num_modules')
    if modules is None and backbone.get('balance', backbone.get('budgets')) is None:
        return cfg
    cfg = copy.deepcopy(cfg)
    if modules is None and backbone.get('cuts') is not None:  # resolved before; the config inherits balance
        without_balance(cfg.model.backbone)
        return cfg
    balance, budgets = cfg.model.backbone.pop('balance', 'memory'), cfg.model.backbone.pop('budgets', None)
    check_balance(balance, budgets, modules)
    del cfg.model.backbone['num_modules']
    if isinstance(modules, bool) or not isinstance(modules, int) or modules < 1:
        raise ConfigError(f'num_modules={modules!r} of the backbone; give a whole number, 1 or more')
    setup = training_setup(cfg)
    if modules == 1:
        cfg.model.backbone.cuts = ()
        return cfg
    chain = profile_modules(cfg, modules, setup)
    if balance == 'flops':
        limits = None if budgets is None else [parse_bytes(budget) for budget in budgets]
        option = backbone.get('checkpoint', False)
        partition = balanced_by_flops(ModuleCosts(chain), modules, option, limits)
    else:
        partition, trace = best_partition(cfg, chain, modules, setup)
        MMLogger.get_current_instance().info(_table(trace, setup))
    cfg.model.backbone.cuts = partition.cuts(chain)
    return cfg


def check_balance(balance: Any, budgets: Any, modules: Any) -> None:
    """Checks the options that say how to find cuts.

    Raises:
        ConfigError: `balance` is unknown, `num_modules` is missing, or `budgets` do not go with `balance`.
    """
    if balance not in ('memory', 'flops'):
        raise ConfigError(f"balance={balance!r} of the backbone; choose from 'memory', 'flops'")
    if modules is None:
        raise ConfigError(
            'balance and budgets of the backbone say how to find the cuts of num_modules; set num_modules too'
        )
    listed = isinstance(budgets, (list, tuple)) and all(isinstance(budget, str) for budget in budgets)
    if budgets is not None and (balance != 'flops' or not listed):
        raise ConfigError(
            f"budgets={budgets!r} of the backbone goes with balance='flops', one text with a unit per local "
            "module, e.g. budgets=('8GiB', '24GiB')"
        )


def profile_modules(cfg: Any, modules: int, setup: TrainingSetup) -> Chain:
    """Measures the pieces of a config's model, with the policies of its `checkpoint`, for some local modules.

    Args:
        cfg: a config with an `InfoProBackbone`.
        modules: number of local modules.
        setup: batch, crop and precision.

    Raises:
        ConfigError: the model cannot be split into so many modules, or `checkpoint` does not fit them.
    """
    texts = module_texts(backbone_of(cfg).get('checkpoint', False), modules)
    chain = profile_chain(
        with_listed_heads(cfg, modules),
        setup.batch,
        setup.crop,
        setup.amp,
        accumulation=setup.accumulation,
        policies=[policy for policy in POLICIES[1:] if any(policy in text for text in texts)],
    )
    check_modules(chain, modules, lists_heads(cfg))
    return chain


def best_partition(cfg: Any, chain: Chain, modules: int, setup: TrainingSetup) -> tuple[Partition, StepTrace]:
    """The balanced partition, verified by a trace of a complete step, and that trace.

    If the trace contradicts the additive model, the model is corrected by the difference and searched again,
    until it names a partition that was already traced. The best traced partition is taken.
    """
    offsets: dict[Position, int] = {}
    found: dict[tuple[int, ...], tuple[Partition, StepTrace]] = {}
    for _ in range(ATTEMPTS):
        costs = ModuleCosts(chain, offsets)
        best = balanced(costs, modules, backbone_of(cfg).get('checkpoint', False))
        if best.ends in found:
            break
        traced = trace_partition(cfg, chain, best, setup)
        found[best.ends] = best, traced
        if abs(traced.peak - best.peak) <= EXACT * traced.peak:
            break
        for cost, predicted, module in zip(
            best.modules, module_peaks(chain, best), traced.modules, strict=True
        ):
            position = costs.position(cost.start, cost.end)
            offsets[position] = offsets.get(position, 0) + module.peak - predicted
    return min(found.values(), key=lambda pair: (pair[1].peak, pair[1].flops, pair[0].ends))


def trace_partition(cfg: Any, chain: Chain, partition: Partition, setup: TrainingSetup) -> StepTrace:
    """Traces a complete step of a config with the cuts of a partition."""
    cfg = copy.deepcopy(cfg)
    backbone = backbone_of(cfg)
    backbone['cuts'] = partition.cuts(chain)
    without_turn(backbone)  # modules that train in turn are balanced together, too
    return trace_step(cfg, setup.batch, setup.crop, setup.amp, accumulation=setup.accumulation)


def check_modules(chain: Chain, modules: int, listed: bool = False) -> None:
    """Checks that a chain has enough blocks, and local heads, for a number of modules.

    Args:
        chain: the costs of the pieces.
        modules: number of modules.
        listed: whether the config lists a local head for each cut.

    Raises:
        ConfigError: the chain has too few blocks, or the config too few local heads.
    """
    if modules > chain.most_modules:
        shared = f', each to share {chain.overlap} with the module before' if chain.overlap > 1 else ''
        raise ConfigError(
            f'{modules} local modules{shared}, but the encoder has {len(chain.blocks)} blocks: '
            f'{", ".join(chain.names)}; choose num_modules from 1 to {chain.most_modules}'
        )
    if modules > 1 and not chain.heads:
        raise ConfigError(f'{modules} local modules need local heads; give the backbone a local_head')
    if modules > 1 and (listed or len(chain.heads) > 1) and len(chain.heads) != modules - 1:
        raise ConfigError(
            f'local_head lists {len(chain.heads)} heads, but {modules} local modules need {modules - 1}; '
            'give one per cut, or a single one for all'
        )


def _table(trace: StepTrace, setup: TrainingSetup) -> str:
    unit = unit_for(trace.peak)
    rows = [('module', 'blocks', f'peak {unit.name}')]
    for index, module in enumerate(trace.modules):
        first, last = module.blocks[0], module.blocks[-1]
        blocks = first if first == last else f'{first} to {last} ({len(module.blocks)})'
        rows.append((str(index), blocks, unit.number(module.peak)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f'{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}' for a, b, c in rows]
    title = f'{len(trace.modules)} local modules, balanced for {setup}:'
    return '\n'.join([title, *lines])
