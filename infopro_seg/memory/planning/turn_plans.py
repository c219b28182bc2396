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
from infopro_seg.turn_configs import require_turns, turn_config


@dataclass(frozen=True)
class TurnPlan:
    """What training takes: in one turn, or with all modules at once.

    Args:
        turn: number of the turn; None for all modules at once.
        setup: batch, crop and precision.
        trace: the bytes and FLOPs of a step.
    """

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
            'stage': self.turn,
            'setup': str(self.setup),
            'peak_bytes': self.trace.peak,
            'state_bytes': self.state,
            'flops': self.trace.flops,
        }


def plan_turns(
    cfg: Config, batch: int | None = None, crop: tuple[int, int] | None = None, amp: str | None = None
) -> list[TurnPlan]:
    """Traces a step with all modules at once, and one of each turn; arguments override the config.

    Raises:
        UserError: the turns do not fit the config, or the model cannot be traced.
    """
    count = require_turns(cfg)
    cfg = resolve_cuts(cfg)
    plans = []
    for turn in (None, *range(count)):
        part = cfg if turn is None else turn_config(cfg, turn)
        setup = training_setup(part, batch, crop, amp)
        trace = trace_step(part, setup.batch, setup.crop, setup.amp, accumulation=setup.accumulation)
        plans.append(TurnPlan(turn, setup, trace))
    return plans


def turns_table(plans: Sequence[TurnPlan], budget: int | None = None) -> Table:
    """The plans as a table, all modules at once first."""
    together = plans[0].trace
    unit = unit_for(together.peak)
    columns = ['training', f'peak {unit.name}', 'of all at once', f'model state {unit.name}', 'FLOPs', 'fits']
    table = new_table(
        f'Predicted peak memory: {plans[0].setup}', [*columns, 'blocks'], texts=('training', 'blocks')
    )
    for plan in plans:
        trace = plan.trace
        names = [name for module in trace.modules for name in module.blocks]
        different = '' if plan.setup == plans[0].setup else f' ({plan.setup})'
        table.add_row(
            'all at once' if plan.turn is None else f'stage {plan.turn}{different}',
            unit.number(trace.peak),
            f'{trace.peak / together.peak:.3f}',
            unit.number(plan.state),
            f'{trace.flops / together.flops:.3f}',
            fits_text(trace.peak, budget),
            f'{names[0]} to {names[-1]}',
        )
    return table
