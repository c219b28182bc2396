"""The predicted memory of a config whose local modules train in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from rich.table import Table

from infopro_seg.consoles import new_table
from infopro_seg.memory.quantities import fits_text, unit_for
from infopro_seg.memory.search.cuts import resolve_cuts
from infopro_seg.memory.tracing.step import StepTrace, trace_step
from infopro_seg.memory.tracing.training_setup import TrainingSetup, training_setup
from infopro_seg.memory.variants import stock_losses, without_cuts
from infopro_seg.turn_configs import require_turns, turn_config


@dataclass(frozen=True)
class TurnPlan:
    """What training takes: in one turn, with all modules at once, or end to end.

    Args:
        training: `end to end`, `all at once`, or `stage 0` and so on.
        turn: number of the turn; None for the first two.
        setup: batch, crop and precision.
        trace: the bytes and FLOPs of a step.
    """

    training: str
    turn: int | None
    setup: TrainingSetup
    trace: StepTrace

    @property
    def state(self) -> int:
        """Bytes of parameters, buffers, gradients and optimizer state on the device."""
        trace = self.trace
        return trace.parameters + trace.buffers + trace.gradients + trace.optimizer_state

    def as_json(self) -> dict[str, Any]:
        """The plan for `--json`."""
        return {
            'training': self.training,
            'stage': self.turn,
            'setup': str(self.setup),
            'peak_bytes': self.trace.peak,
            'state_bytes': self.state,
            'flops': self.trace.flops,
        }


def plan_turns(
    cfg: Config, batch: int | None = None, crop: tuple[int, int] | None = None, amp: str | None = None
) -> list[TurnPlan]:
    """Traces a step end to end, one with all modules at once, and one of each turn, in this order.

    Args:
        cfg: a config with `stages`.
        batch: images per step and device; by default each turn's own.
        crop: height and width in pixels; by default each turn's own.
        amp: mixed precision; by default each turn's own.

    Raises:
        UserError: the turns do not fit the config, or the model cannot be traced.
    """
    count = require_turns(cfg)
    cfg = resolve_cuts(cfg)
    parts = {
        'end to end': (None, stock_losses(without_cuts(cfg))),  # as in other plans
        'all at once': (None, cfg),
        **{f'stage {turn}': (turn, turn_config(cfg, turn)) for turn in range(count)},
    }
    plans = []
    for training, (turn, part) in parts.items():
        setup = training_setup(part, batch, crop, amp)
        trace = trace_step(part, setup.batch, setup.crop, setup.amp, accumulation=setup.accumulation)
        plans.append(TurnPlan(training, turn, setup, trace))
    return plans


def turns_table(plans: Sequence[TurnPlan], budget: int | None = None) -> Table:
    """The plans as a table; its last row has the largest peak of the turns, and the sum of their FLOPs."""
    reference = plans[0].trace
    unit = unit_for(reference.peak)
    columns = ['training', f'peak {unit.name}', 'of E2E', 'FLOPs of E2E', f'model state {unit.name}', 'fits']
    table = new_table(
        f'Predicted peak memory: {plans[0].setup}', [*columns, 'blocks'], texts=('training', 'blocks')
    )

    def add_row(training: str, peak: int, flops: int, state: int, blocks: str) -> None:
        table.add_row(
            training,
            unit.number(peak),
            f'{peak / reference.peak:.3f}',
            f'{flops / reference.flops:.3f}',
            unit.number(state),
            fits_text(peak, budget),
            blocks,
        )

    for plan in plans:
        names = [name for module in plan.trace.modules for name in module.blocks]
        different = '' if plan.setup == plans[0].setup else f' ({plan.setup})'
        add_row(
            f'{plan.training}{different}',
            plan.trace.peak,
            plan.trace.flops,
            plan.state,
            f'{names[0]} to {names[-1]}',
        )
    turns = [plan for plan in plans if plan.turn is not None]
    add_row(
        'all stages',
        max(plan.trace.peak for plan in turns),
        sum(plan.trace.flops for plan in turns),
        max(plan.state for plan in turns),
        'each image once in every stage',
    )
    return table
