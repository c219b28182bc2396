"""Writes a plan into a config: recipe, batch, crop and precision."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from infopro_seg.config_edits import with_crop
from infopro_seg.config_files import find_config, load_config
from infopro_seg.files import write_text
from infopro_seg.memory.planning.plan import Plan
from infopro_seg.memory.quantities import show_bytes
from infopro_seg.memory.search.recipes import Recipe, with_recipe
from infopro_seg.memory.tracing.training_setup import TrainingSetup, own_precision
from infopro_seg.tasks import is_classifier

DTYPES = {'fp16': 'float16', 'bf16': 'bfloat16'}
PREDICTED = ' predicted for '  # in the first line of a planned config


def planned_changes(cfg: Config, recipe: Recipe, setup: TrainingSetup) -> dict[str, Any]:
    """The changes that make a config train a recipe in a setup, as a nested dict to merge into it."""
    return _difference(cfg.to_dict(), _planned(cfg, recipe, setup))


def _planned(cfg: Config, recipe: Recipe, setup: TrainingSetup) -> dict[str, Any]:
    """A whole config, changed so that it trains a recipe in a setup."""
    planned: dict[str, Any] = with_recipe(cfg.to_dict(), recipe)
    for preprocessor in (planned['model'].get('data_preprocessor'), planned.get('data_preprocessor')):
        if preprocessor and not is_classifier(cfg):  # a classifier's takes images of any size
            preprocessor['size'] = setup.crop
            if preprocessor.get('size_divisor') is not None:
                preprocessor['size_divisor'] = None  # mmseg accepts only one of the two
    planned['train_dataloader'] = {**(planned.get('train_dataloader') or {}), 'batch_size': setup.batch}
    for key in ('train_pipeline', 'train_dataloader'):
        if key in planned:
            planned[key] = with_crop(planned[key], setup.crop)
    if 'crop_size' in planned:
        planned['crop_size'] = setup.crop
    if setup.amp is not None and setup.amp != own_precision(cfg):
        wrapper = planned['optim_wrapper'] = dict(planned.get('optim_wrapper') or {})
        wrapper.update(type='AmpOptimWrapper', dtype=DTYPES[setup.amp])
        if setup.amp == 'fp16':
            wrapper['loss_scale'] = 'dynamic'
    return planned


def write_config(
    plan: Plan, recipe: Recipe, source: Path, target: Path, options: Mapping[str, Any] | None = None
) -> None:
    """Writes a config that inherits from another one and trains as planned.

    A pure-Python config, from which such a config cannot inherit, is written whole.

    Args:
        plan: the plan.
        recipe: the recipe to train by.
        source: path or name of the config that was planned.
        target: the file to write.
        options: the overrides that it was planned with, `{'a.b': value}`; they are written too.
    """
    file = find_config(source)
    planned = _planned(load_config(source, options), recipe, plan.setup)
    peak = show_bytes(recipe.peak, plan.reference.peak)
    text = f'# {recipe.name}: {peak}{PREDICTED}{plan.setup}.\n'
    if Config._is_lazy_import(str(file)):
        text += Config(planned).pretty_text
    else:
        base = os.path.relpath(file.resolve(), target.resolve().parent)
        changes = Config(_difference(load_config(source).to_dict(), planned)).pretty_text
        text += f'_base_ = {[base]!r}\n{changes}'
    target.parent.mkdir(parents=True, exist_ok=True)
    write_text(target, text)


def is_planned(path: Path) -> bool:
    """Whether a config is empty or was written by `write_config`, by its first line."""
    with path.open(encoding='utf-8', errors='replace') as file:
        first = file.readline()
    return not first or (first.startswith('# ') and PREDICTED in first)


def _difference(own: dict[str, Any], planned: dict[str, Any]) -> dict[str, Any]:
    """The items that differ, also in nested dicts; lists are replaced whole, as configs merge."""
    found = {}
    for key, value in planned.items():
        if key not in own:
            if value is not None:
                found[key] = value
        elif isinstance(value, dict) and isinstance(own[key], dict):
            inner = _difference(own[key], value)
            if inner:
                found[key] = inner
        elif value != own[key]:  # mmengine merges no dict into what is none
            found[key] = {**value, '_delete_': True} if isinstance(value, dict) else value
    return found
