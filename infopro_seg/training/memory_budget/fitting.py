"""Training within a memory budget: the recipe of a run, and the next smaller ones.

The config contains the recipes under `fit`, and so do the dumped config and every checkpoint::

    fit = dict(budget='11GiB', exact_flops=1.2, setup='batch 4, crop 512x1024, fp32', chosen=0, recipes=[
        dict(name='E2E + expansions', gradients='exact', peak=9277129359, backbone=dict(cuts=(), ...)), ...])

`recipes` are tried in this order when memory runs out; `chosen` is the index of the one that trains.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import all_reduce, is_main_process
from mmengine.logging import MMLogger

from infopro_seg.checkpoints import config_of, read_checkpoint
from infopro_seg.config_edits import without_balance
from infopro_seg.errors import MachineError, UserError
from infopro_seg.memory.planning.fit import plan_to_fit
from infopro_seg.memory.planning.plan import EXACT_FLOPS, Plan
from infopro_seg.memory.planning.validation import plan_validation
from infopro_seg.memory.quantities import parse_bytes, show_bytes
from infopro_seg.memory.search.recipes import with_recipe
from infopro_seg.memory.tracing.training_setup import training_setup
from infopro_seg.training.interruptions.first_rank import from_first_rank
from infopro_seg.training.memory_budget.memory_beside import memory_beside

AUTO = 'auto'
SHARE = 0.9  # of a GPU's free memory: the rest is for workspaces, and for gaps between tensors


@dataclass(frozen=True)
class FitRequest:
    """What `--fit` asks for.

    Args:
        budget: memory that may be used, e.g. `11GiB`, or `auto` for nine tenths of the GPU's free memory.
        exact_flops: a recipe with exact gradients is preferred to one with local losses up to this many
            FLOPs, as a share of plain end-to-end training; None for 1.2, or for the value of the resumed run.
    """

    budget: str
    exact_flops: float | None = None

    def in_bytes(self) -> int:
        """The budget in bytes; with `auto` the smallest of all ranks.

        Raises:
            UserError: the budget cannot be read, or it is `auto` and there is no GPU.
        """
        if self.budget != AUTO:
            return parse_bytes(self.budget)
        if not torch.cuda.is_available():
            raise MachineError(
                '--fit auto reads the free memory of the GPU, but there is no GPU; give a budget, e.g. '
                '--fit 11GiB'
            )
        free = torch.tensor(int(SHARE * torch.cuda.mem_get_info()[0]))
        all_reduce(free, 'min')
        return int(free)


def fit_config(cfg: Config, request: FitRequest | None) -> Config:
    """The config with the recipe that a run trains with; the same on all ranks.

    A resumed run keeps its recipe, also without a request. With a request, it keeps the recipe as long as it
    fits the budget; otherwise it takes the first of its own smaller recipes that fits. It makes a new plan if
    none fits, if batch, crop or precision changed, or if the request names other FLOPs for exact recipes.

    Args:
        cfg: the config, including what it resumes.
        request: what to fit, if anything.

    Raises:
        UserError: nothing fits; the message names what limits the smallest peak and the crop that would fit.
    """
    kept = _kept(cfg)
    if request is None:
        if kept is not None:
            _tell(f'{cfg.load_from} was trained to fit {kept["budget"]}; keeping its recipe', _named(kept))
            return with_fit(cfg, kept)
        if cfg.get('fit') and not _is_followed(cfg):
            cfg = copy.deepcopy(cfg)
            cfg.pop('fit')  # from a dumped config whose model was edited since
        return cfg
    if request.exact_flops is not None and not request.exact_flops >= 1:  # nan, too
        raise UserError(
            f'--fit-exact-flops {request.exact_flops} is below the FLOPs of plain end-to-end training, which '
            'are 1; give a number of 1 or more, e.g. 1.2'
        )
    budget = request.in_bytes()
    return with_fit(cfg, from_first_rank(lambda: _choose(cfg, request, budget, kept)))


def with_fit(cfg: Config, fit: dict[str, Any]) -> Config:
    """A copy of a config that trains with the chosen recipe."""
    cfg = copy.deepcopy(cfg)
    cfg.model.backbone.update(copy.deepcopy(fit['recipes'][fit['chosen']]['backbone']))
    without_balance(cfg.model.backbone)  # the recipe has its cuts
    cfg.fit = copy.deepcopy(fit)
    return cfg


def smaller(cfg: Config) -> Config | None:
    """A copy of a config that trains with the next smaller recipe; None if there is none."""
    fit = cfg.get('fit')
    if not fit or fit['chosen'] + 1 >= len(fit['recipes']):
        return None
    return with_fit(cfg, {**fit, 'chosen': fit['chosen'] + 1})


def named(cfg: Config) -> str:
    """The name of a config's recipe, with its predicted peak."""
    return _named(cfg.fit)


def _choose(cfg: Config, request: FitRequest, budget: int, kept: Any) -> dict[str, Any]:
    """The recipes for a budget; runs on the first rank."""
    setup = training_setup(cfg)
    beside = memory_beside(cfg, setup)
    shares = ''.join(f', less {show_bytes(size, budget)} for {name}' for name, size in beside.items())
    if sum(beside.values()) >= budget:
        raise UserError(
            f'the budget {show_bytes(budget, budget)}{shares} leaves nothing to train with; raise it, or '
            'train without what takes its share'
        )
    planning = f'planning a training within {show_bytes(budget, budget)}{shares} ({setup})'
    budget -= sum(beside.values())
    exact_flops = request.exact_flops or (EXACT_FLOPS if kept is None else kept['exact_flops'])
    if kept is not None and (kept['setup'], kept['exact_flops']) == (str(setup), exact_flops):
        peaks = [recipe['peak'] for recipe in kept['recipes']]
        fitting = [index for index in range(kept['chosen'], len(peaks)) if peaks[index] <= budget]
        if fitting:
            fit = {**kept, 'chosen': fitting[0], 'budget': request.budget}
            same = 'keeping its recipe' if fitting[0] == kept['chosen'] else 'taking its next one'
            _tell(f'{cfg.load_from} was trained to fit {kept["budget"]}; {same}', _named(fit))
            return fit
    _tell(planning)
    plan = plan_to_fit(cfg, budget, exact_flops=exact_flops, setup=setup)
    _tell(*plan.lines())
    _tell_of_validation(cfg, plan.plan, budget)
    backbones = [_backbone(cfg, recipe) for recipe in plan.recipes]
    own = cfg.to_dict()['model']['backbone']
    keys = {key for backbone in backbones for key in {*own, *backbone} if own.get(key) != backbone.get(key)}
    keys |= {'cuts', 'checkpoint', 'checkpoint_heads', 'num_modules'}  # even if equal to the config's
    recipes = [
        {
            'name': recipe.name,
            'gradients': recipe.gradients,
            'peak': recipe.peak,
            'flops': round(recipe.flops / plan.plan.reference.flops, 4),
            'backbone': {key: backbone.get(key) for key in sorted(keys)},
        }
        for recipe, backbone in zip(plan.recipes, backbones, strict=True)
    ]
    return {
        'budget': request.budget,
        'exact_flops': exact_flops,
        'setup': str(setup),
        'chosen': 0,
        'recipes': recipes,
    }


def _tell_of_validation(cfg: Config, plan: Plan, budget: int) -> None:
    """Says if validation does not fit, or if its memory is unknown."""
    found = plan_validation(cfg, plan, _tell)
    if isinstance(found, str):
        _tell(found)
    elif found is not None and found.peak > budget:
        _tell(found.text(plan))


def _backbone(cfg: Config, recipe: Any) -> dict[str, Any]:
    """The backbone of a config, changed to train with a recipe."""
    backbone: dict[str, Any] = with_recipe(cfg, recipe).to_dict()['model']['backbone']
    return backbone


def _kept(cfg: Config) -> dict[str, Any] | None:
    """The recipes of the run to resume, if it was trained with `--fit`."""
    if not cfg.get('resume') or not cfg.get('load_from'):
        return None
    fit = config_of(read_checkpoint(cfg.load_from), cfg.load_from).get('fit')
    return None if fit is None else fit.to_dict()


def _is_followed(cfg: Config) -> bool:
    """Whether the model of a config follows the recipe that the config names as chosen."""
    chosen = cfg.fit['recipes'][cfg.fit['chosen']]['backbone']
    own = cfg.model.backbone
    return all(_plain(own.get(key)) == _plain(value) for key, value in chosen.items())


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _named(fit: dict[str, Any]) -> str:
    recipe = fit['recipes'][fit['chosen']]
    peak = show_bytes(recipe['peak'], recipe['peak'])
    return f'{recipe["name"]} ({recipe["gradients"]} gradients), predicted peak {peak}'


def _tell(*lines: str) -> None:
    """Logs lines on the console of the first rank."""
    for line in lines if is_main_process() else ():
        MMLogger.get_current_instance().info(line)
