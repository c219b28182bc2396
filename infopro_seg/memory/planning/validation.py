"""Predicts the memory of the validations during a training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mmcv.transforms import Resize

from infopro_seg.datasets.building import leaves
from infopro_seg.errors import UserError
from infopro_seg.evaluation.pipelines import is_step
from infopro_seg.memory.inference.prediction import trace_prediction
from infopro_seg.memory.planning.plan import Plan
from infopro_seg.memory.quantities import GIB, show_bytes
from infopro_seg.memory.search.cuts import resolve_cuts
from infopro_seg.memory.search.recipes import with_recipe
from infopro_seg.tasks import is_classifier


@dataclass(frozen=True)
class Validation:
    """The memory of a validation, including the weights and the optimizer's state of the training.

    Args:
        size: height and width of its images, in pixels.
        largest: whether images may be smaller than `size`, because their aspect ratio is kept.
        batch: number of images at once.
        mode: `whole` or `slide`.
        peak: peak bytes.
        window: height and width of the windows of mode `slide`, in pixels; None for `whole`.
    """

    size: tuple[int, int]
    largest: bool
    batch: int
    mode: str
    peak: int
    window: tuple[int, int] | None = None

    def as_json(self, budget: int | None) -> dict[str, Any]:
        """The keys to add to the rows of `--json`."""
        return {
            'validation_size': list(self.size),
            'validation_gib': round(self.peak / GIB, 4),
            'validation_fits': None if budget is None else self.peak <= budget,
        }

    def text(self, plan: Plan) -> str:
        """What it takes, and whether training and validation fit the plan's budget."""
        reference = plan.reference.peak
        height, width = self.size
        images = f' {self.batch} images at once' if self.batch > 1 else ''
        where = f'{"up to " if self.largest else ""}{height}x{width}'
        found = (
            f'Validation{images} at {where}, mode {self.mode}, takes {show_bytes(self.peak, reference)} '
            'with the weights and the optimizer of the training in memory.'
        )
        if plan.budget is None:
            return found
        budget = show_bytes(plan.budget, reference)
        if self.peak > plan.budget:
            fewer = 'val_dataloader.batch_size=1, or ' if self.batch > 1 else ''
            seen = self.window or self.size  # a window that exceeds the image is the image
            side = smaller_window((min(seen[0], self.size[0]), min(seen[1], self.size[1])))
            stride = max(2 * side // 3, 1)
            return (
                f'{found} That does not fit {budget}: use {fewer}smaller windows, e.g. '
                f"model.test_cfg = dict(mode='slide', crop_size=({side}, {side}), stride=({stride}, "
                f'{stride})), or smaller images (Resize in the pipeline of val_dataloader).'
            )
        return f'{found} {"Both fit" if plan.recommended is not None else "It fits"} {budget}.'


def smaller_window(size: tuple[int, int]) -> int:
    """The side of a square window: at most half of the shorter side and 512 pixels; a multiple of 32, if it
    is that long."""
    side = max(min(min(size) // 2, 512), 1)
    return side // 32 * 32 or side


def plan_validation(cfg: Any, plan: Plan, announce: Callable[[str], None]) -> Validation | str | None:
    """Traces a validation of the training that a plan recommends, or else of the config's own.

    Args:
        cfg: the config.
        plan: the plan of its training.
        announce: called with each step before it begins.

    Returns:
        The validation; or why its memory is unknown, as a sentence; or None if the training has no validation
        or trains a classifier.
    """
    loader = cfg.get('val_dataloader')
    if not loader or not cfg.get('val_cfg') or is_classifier(cfg):
        return None
    found = validation_size(loader)
    if isinstance(found, str):
        return (
            f'The memory of validation is unknown: {found}. To plan for one size, run '
            'tools/plan.py --inference --size HEIGHT WIDTH.'
        )
    size, largest = found
    test_cfg = cfg.model.get('test_cfg') or {}
    batch = int(loader.get('batch_size') or 1)
    amp = 'fp16' if cfg.val_cfg.get('fp16') else None
    announce(f'tracing a validation at {size[0]}x{size[1]}')
    try:
        peak = trace_prediction(_trained(cfg, plan), size, amp, in_training=True, batch=batch).peak
    except UserError as error:
        return f'The memory of validation is unknown: {error}.'
    mode = test_cfg.get('mode', 'whole')
    window = tuple(test_cfg['crop_size']) if mode == 'slide' else None
    return Validation(size, largest, batch, mode, peak, window)


def _trained(cfg: Any, plan: Plan) -> Any:
    """The config of the training: with the recommended recipe, or with the config's own cuts."""
    if plan.recommended is not None:
        return with_recipe(cfg, plan.recommended)
    backbone = cfg.model.backbone
    modules = None if backbone.get('balance') else backbone.get('num_modules')
    balanced = [one for one in plan.recipes if one.cuts and len(one.cuts) + 1 == modules]
    return with_recipe(cfg, balanced[0]) if balanced else resolve_cuts(cfg)


def validation_size(loader: Any) -> tuple[tuple[int, int], bool] | str:
    """Height and width of a loader's images and whether images may be smaller; or why that is unknown."""
    pipeline = next(leaves(loader['dataset'])).get('pipeline') or []
    resizing = [step for step in pipeline if is_step(step, Resize)]
    scale = resizing[-1].get('scale') if resizing else None
    if not resizing:
        return 'the pipeline of val_dataloader does not resize images, so their sizes vary'
    if scale is None:
        return 'the Resize of val_dataloader has no scale, so sizes depend on the images'
    width, height = (scale, scale) if isinstance(scale, int) else scale
    return (int(height), int(width)), bool(resizing[-1].get('keep_ratio'))
