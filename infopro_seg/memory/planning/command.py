"""The command `tools/plan.py`: plans, and shows the plan in every form that the user asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from infopro_seg.config_files import load_config
from infopro_seg.consoles import spinner, table_console
from infopro_seg.drawing.attempt import drawing
from infopro_seg.errors import UserError
from infopro_seg.memory.planning.largest_size import with_largest
from infopro_seg.memory.planning.plan import Plan
from infopro_seg.memory.planning.plan_output import advice, plan_rows, plan_table, plot_plan
from infopro_seg.memory.planning.planned_config import is_planned, write_config
from infopro_seg.memory.planning.planner import Planner
from infopro_seg.memory.planning.process_plan import (
    own_budgets,
    plan_processes,
    processes_table,
    processes_verdict,
)
from infopro_seg.memory.planning.turn_plans import plan_turns, turns_table
from infopro_seg.memory.planning.validation import Validation, plan_validation
from infopro_seg.memory.quantities import parse_bytes, parse_numbers
from infopro_seg.memory.tracing.training_setup import training_setup
from infopro_seg.memory.variants import require_infopro
from infopro_seg.models.local_heads.readers import require_own_blocks
from infopro_seg.outputs import require_file, require_json
from infopro_seg.strict_json import STDOUT, write_or_print_json
from infopro_seg.tasks import refuse_classifier

DEFAULT_MODULES = '1-8'
PICTURES = ('.png', '.pdf', '.svg')


@dataclass(frozen=True)
class PlanRequest:
    """The arguments of the command, as the user wrote them; None stands for the config's own value.

    Args:
        config: the config file.
        budget: memory to recommend recipes for, e.g. `11GiB`; None for no recommendation.
        batch: images per GPU.
        crop: height and width in pixels.
        amp: 'fp16' or 'bf16'.
        modules: numbers of local modules, e.g. `1,4,6-8`; None for `DEFAULT_MODULES`.
        max_crop: whether to find the largest crop of each recipe.
        max_batch: whether to find the largest batch of each recipe.
        json: file for the recipes; `-` for stdout.
        plot: file for a picture.
        write_config: file for a config with the recommended recipe.
        options: overrides of the config, `{'a.b': value}`.
    """

    config: Path
    budget: str | None = None
    batch: int | None = None
    crop: tuple[int, int] | None = None
    amp: str | None = None
    modules: str | None = None
    max_crop: bool = False
    max_batch: bool = False
    json: Path | None = None
    plot: Path | None = None
    write_config: Path | None = None
    options: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class PlanModuleParallelRequest:
    """The arguments of the command with `--module-parallel`; see :class:`PlanRequest`.

    Args:
        modules: number of local modules, which is that of the processes of a replica.
        budgets: memory of the GPU of each module, in their order, e.g. `('8GiB', '24GiB')`; None for those of
            the config, if it has one for each module.
    """

    config: Path
    batch: int | None = None
    crop: tuple[int, int] | None = None
    amp: str | None = None
    modules: str | None = None
    budgets: Sequence[str] | None = None
    json: Path | None = None
    options: Mapping[str, Any] | None = None


def plan_module_parallel(request: PlanModuleParallelRequest) -> int:
    """Plans one process per local module, and shows the plans; returns the exit status.

    Raises:
        UserError: an argument or the config is invalid, or the modules do not fit the budgets.
    """
    budgets = [parse_bytes(text) for text in request.budgets] if request.budgets else None
    counts = parse_numbers(request.modules) if request.modules else None
    if counts is not None and len(counts) != 1:
        raise UserError(f'--modules {request.modules}: with --module-parallel, give one number')
    if request.json is not None and request.json != STDOUT:
        require_json(request.json)
    cfg = load_config(request.config, request.options)
    if cfg.get('stages') is not None:
        raise UserError('the config has stages, which train in turn; plan it without --module-parallel')
    refuse_classifier(cfg, 'module-parallel training', 'plan it without --module-parallel')
    require_infopro(cfg)
    require_own_blocks(cfg.model.backbone)
    count = counts[0] if counts else None
    if budgets is None and (budgets := own_budgets(cfg.model.backbone, count)) is not None:
        count = cfg.model.backbone.num_modules
    setup = training_setup(cfg, request.batch, request.crop, request.amp)
    plans = plan_processes(cfg, setup, count, budgets)
    console = table_console(stderr=request.json == STDOUT)
    console.print(processes_table(plans, setup, budgets))
    console.print(processes_verdict(plans), markup=False, highlight=False)
    if request.json is not None:
        write_or_print_json(request.json, [plan.as_json() for plan in plans])
    return 0


def plan(request: PlanRequest) -> int:
    """Plans and shows the plan; returns the exit status: 1 if training or validation exceeds the budget.

    Raises:
        UserError: an argument or the config is invalid.
    """
    budget = None if request.budget is None else parse_bytes(request.budget)
    modules = parse_numbers(request.modules or DEFAULT_MODULES)
    for option in ('max_crop', 'max_batch', 'write_config'):
        if getattr(request, option) and budget is None:
            raise UserError(f'--{option.replace("_", "-")} needs a budget to fit; add e.g. --budget 11GiB')
    _check_outputs(request)
    cfg = load_config(request.config, request.options)
    if cfg.get('stages') is not None:
        return _plan_turns(request, cfg, budget)
    require_infopro(cfg)
    setup = training_setup(cfg, request.batch, request.crop, request.amp)
    with spinner() as announce:
        planner = Planner(cfg, setup, announce)
        plan = planner.plan(modules, budget)
        if budget is not None and (request.max_crop or request.max_batch):
            plan = with_largest(planner, plan, budget, request.max_crop, request.max_batch)
        validation = plan_validation(cfg, plan, announce)
    _show(plan, validation, request, cfg)
    if budget is None:
        return 0
    too_large = isinstance(validation, Validation) and validation.peak > budget
    return int(plan.recommended is None or too_large)


def _plan_turns(request: PlanRequest, cfg: Config, budget: int | None) -> int:
    """Shows what each stage of an asynchronous training takes; returns 1 if one exceeds the budget."""
    for option in ('max_crop', 'max_batch', 'plot', 'write_config', 'modules'):
        if getattr(request, option):
            raise UserError(
                f'--{option.replace("_", "-")}: a config with stages has no recipes to choose from; leave it '
                'out, or plan a config without stages'
            )
    plans = plan_turns(cfg, request.batch, request.crop, request.amp)
    console = table_console(stderr=request.json == STDOUT)
    console.print(turns_table(plans, budget))
    if request.json is not None:
        write_or_print_json(request.json, [plan.as_json() for plan in plans])
    return int(
        budget is not None and any(plan.trace.peak > budget for plan in plans if plan.turn is not None)
    )


def _check_outputs(request: PlanRequest) -> None:
    """Checks, before the long planning, that the results can be written.

    Raises:
        UserError: a file has the wrong suffix or cannot be written.
    """
    if request.plot is not None and request.plot.suffix.lower() not in PICTURES:
        raise UserError(f'--plot {request.plot}: not a picture; end the name in {", ".join(PICTURES)}')
    target = request.write_config
    if target is not None and target.suffix != '.py':
        raise UserError(f'--write-config {target}: configs are Python files; end it in .py')
    if target is not None and target.resolve() == request.config.resolve():
        raise UserError(f'--write-config {target} is the config itself; choose another file')
    if target is not None and target.is_file() and not is_planned(target):
        raise UserError(
            f'--write-config {target} already exists and was not written by plan.py, so it is not replaced; '
            'choose another file'
        )
    for option, path in (('--json', request.json), ('--plot', request.plot), ('--write-config', target)):
        if path is not None and path != STDOUT:
            (require_json if option == '--json' else require_file)(path, option)


def _show(plan: Plan, validation: Validation | str | None, request: PlanRequest, cfg: Config) -> None:
    console = table_console(stderr=request.json == STDOUT)
    console.print(plan_table(plan))
    about = validation.text(plan) if isinstance(validation, Validation) else validation
    for text in filter(None, (advice(plan, cfg), about)):
        console.print(text, markup=False, highlight=False)
    if request.json is not None:
        known = validation if isinstance(validation, Validation) else None
        write_or_print_json(request.json, plan_rows(plan, known))
    if request.plot is not None:
        with drawing(request.plot, console.print):
            plot_plan(plan, request.plot)
    if request.write_config is not None and plan.recommended is not None:
        write_config(plan, plan.recommended, request.config, request.write_config, request.options)
        console.print(f'wrote {request.write_config}', markup=False, highlight=False)
