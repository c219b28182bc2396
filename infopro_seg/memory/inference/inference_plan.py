"""Plans prediction: the memory for an image of some size, and the largest image that fits a budget."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from rich.table import Table

from infopro_seg.config_edits import encoder_of
from infopro_seg.config_files import load_config
from infopro_seg.consoles import new_table, spinner, table_console
from infopro_seg.errors import ConfigError, UserError
from infopro_seg.logit_maps.row_maps import BAND_BYTES
from infopro_seg.memory.inference.prediction import trace_prediction
from infopro_seg.memory.quantities import fits_text, largest, parse_bytes, show_bytes, unit_for
from infopro_seg.memory.tracing.training_setup import TrainingSetup, training_setup
from infopro_seg.outputs import require_json
from infopro_seg.strict_json import STDOUT, write_or_print_json
from infopro_seg.tasks import refuse_classifier

STEP = 256  # pixels; the largest image is searched in steps of this height
LARGEST = 16384  # pixels; the greatest height to try


@dataclass(frozen=True)
class InferenceRow:
    """One way to predict.

    Args:
        name: its name in the table.
        mode: `whole` or `slide`.
        in_training: whether it is a validation during a training.
        peak: peak bytes for the image size of the plan.
        largest: height and width of the largest image, twice as wide as high, that fits; at most `LARGEST`
            rows.
    """

    name: str
    mode: str
    in_training: bool
    peak: int
    largest: tuple[int, int] | None = None


def inference_rows(
    cfg: Config,
    size: tuple[int, int],
    window: tuple[int, int],
    amp: str | None = None,
    tta: bool = False,
    budget: int | None = None,
    announce: Callable[[str], None] = lambda text: None,
) -> list[InferenceRow]:
    """Traces prediction of whole images and in sliding windows, alone and as a validation in training.

    Args:
        cfg: a config with `model`; if its `test_cfg` slides a window, the plan uses that window.
        size: height and width of the image, in pixels.
        window: height and width of sliding windows if the config has none; they overlap by a third.
        amp: 'fp16' or 'bf16' for autocast to it, None for float32.
        tta: whether scales and flips are averaged.
        budget: bytes, for which to find the largest image; None to find none.
        announce: called with each step before it begins.
    """
    variants = tta_variants(cfg) if tta else ()
    rows = []
    for mode in ('whole', 'slide'):
        for in_training in (False, True):
            name = f'{"validation in training" if in_training else "prediction"}, {mode}'
            with_mode = in_mode(cfg, mode, window)
            peak = _Peaks(with_mode, amp, variants, in_training, announce)
            row = InferenceRow(name, mode, in_training, peak(*size))
            if budget is not None:
                row = replace(row, largest=_largest(peak if mode == 'whole' else peak.extrapolated(), budget))
            rows.append(row)
    return rows


def tta_variants(cfg: Config) -> tuple[tuple[float, bool], ...]:
    """Scale and flip of each variant of an image that the config's `tta_pipeline` lists.

    Raises:
        ConfigError: the config has no `tta_pipeline`, or one that does not resize by `scale_factor`.
    """
    steps = [step for step in cfg.get('tta_pipeline') or () if step['type'] == 'TestTimeAug']
    if not steps:
        raise ConfigError(
            '--tta needs a tta_pipeline in the config; see configs/_base_/datasets/cityscapes.py'
        )
    lists = steps[0]['transforms']
    resizes = [step for one in lists for step in one if step['type'] == 'Resize']
    flips = [step for one in lists for step in one if step['type'] == 'RandomFlip']
    scales = [step.get('scale_factor') for step in resizes] or [1.0]
    if not all(isinstance(scale, (int, float)) for scale in scales):
        raise ConfigError('--tta needs a tta_pipeline in which each Resize has one number as scale_factor')
    flipped = [step.get('prob', 0) > 0 for step in flips] or [False]
    return tuple((float(scale), flip) for scale in scales for flip in flipped)


def in_mode(cfg: Any, mode: str, window: tuple[int, int]) -> Any:
    """A copy of a config that predicts whole images, or slides a window over them."""
    cfg = copy.deepcopy(cfg)
    own = dict(cfg.model.get('test_cfg') or {})
    if mode == 'whole':
        cfg.model.test_cfg = {**own, 'mode': 'whole'}
    elif own.get('mode') != 'slide':
        stride = tuple(max(1, 2 * length // 3) for length in window)
        cfg.model.test_cfg = {**own, 'mode': 'slide', 'crop_size': tuple(window), 'stride': stride}
    return cfg


@dataclass(frozen=True)
class PlanInferenceRequest:
    """The arguments of `tools/plan.py --inference`, as the user wrote them.

    Args:
        config: the config file.
        size: height and width of the image, in pixels; None for the crop's.
        amp: 'fp16' or 'bf16'; None for the config's own precision.
        tta: whether scales and flips are averaged.
        budget: memory for which to find the largest image, e.g. `4GiB`; None to find none.
        json: file for the rows; `-` for stdout.
        options: overrides of the config, `{'a.b': value}`.
    """

    config: Path
    size: tuple[int, int] | None = None
    amp: str | None = None
    tta: bool = False
    budget: str | None = None
    json: Path | None = None
    options: Mapping[str, Any] | None = None


def plan_inference(request: PlanInferenceRequest) -> int:
    """Shows the memory of prediction and validation; returns 1 if neither mode fits the budget.

    Raises:
        UserError: an argument or the config is invalid.
    """
    budget = None if request.budget is None else parse_bytes(request.budget)
    if request.json is not None and request.json != STDOUT:
        require_json(request.json)
    if request.size is not None and min(request.size) < 1:
        given = ' '.join(map(str, request.size))
        raise UserError(f'--size {given} is not an image; give height and width in pixels, each 1 or more')
    cfg = load_config(request.config, request.options)
    refuse_classifier(cfg, '--inference', 'leave it out to plan training')
    encoder_of(cfg)  # an error if the model has no backbone
    try:
        window = training_setup(cfg, batch=1).crop
    except ConfigError as error:  # it names no crop
        if request.size is None:
            raise ConfigError(
                'the config does not say how large images are; pass --size HEIGHT WIDTH'
            ) from error
        window = request.size
    setup = training_setup(cfg, 1, request.size or window, request.amp)
    with spinner() as announce:
        rows = inference_rows(cfg, setup.crop, window, setup.amp, request.tta, budget, announce)
    console = table_console(stderr=request.json == STDOUT)
    console.print(inference_table(rows, setup, len(tta_variants(cfg)) if request.tta else 0, budget))
    if request.json is not None:
        write_or_print_json(request.json, [asdict(row) for row in rows])
    return int(budget is not None and all(row.peak > budget for row in rows if not row.in_training))


def inference_table(
    rows: list[InferenceRow], setup: TrainingSetup, variants: int, budget: int | None
) -> Table:
    """The rows as a table; `variants` is the number of scales and flips that are averaged, 0 without."""
    height, width = setup.crop
    averaged = f', {variants} scales and flips averaged' if variants else ''
    unit = unit_for(max(row.peak for row in rows))
    limit = '' if budget is None else f', budget {show_bytes(budget, rows[0].peak)}'
    title = f'Predicted peak memory: an image of {height}x{width}, {setup.amp or "fp32"}{averaged}{limit}'
    columns = ['prediction', f'peak {unit.name}', *['fits', 'largest image'] * (budget is not None)]
    table = new_table(title, columns, texts=('prediction',))
    for row in rows:
        cells = [row.name, unit.number(row.peak)]
        if budget is not None:
            size = '-' if row.largest is None else f'{row.largest[0]}x{row.largest[1]}'
            size += ' or more' * (row.largest is not None and row.largest[0] == LARGEST)
            cells += [fits_text(row.peak, budget), size]
        table.add_row(*cells)
    return table


@dataclass(frozen=True)
class _Peaks:
    """The peak of a prediction by the size of the image; each size is traced once."""

    cfg: Any
    amp: str | None
    variants: tuple[tuple[float, bool], ...]
    in_training: bool
    announce: Callable[[str], None]
    found: dict[tuple[int, int], int] = field(default_factory=dict)

    def __call__(self, height: int, width: int) -> int:
        """The peak in bytes."""
        if (height, width) not in self.found:
            self.announce(f'tracing a prediction of {height}x{width}')
            trace = trace_prediction(self.cfg, (height, width), self.amp, self.variants, self.in_training)
            self.found[height, width] = trace.peak
        return self.found[height, width]

    def extrapolated(self) -> Callable[[int, int], float]:
        """The peak with sliding windows at any size, from traces at four sizes.

        The windows in memory grow with the width of the image; image and labels grow with height and width.
        The band of logits grows up to `BAND_BYTES` only, so all four sizes are beyond that.
        """
        model = self.cfg.model
        window = model.test_cfg['crop_size']
        head = model.decode_head[-1] if isinstance(model.decode_head, list) else model.decode_head
        pixels = BAND_BYTES / (4 * (head.get('out_channels') or head['num_classes']))  # of a full band
        grown = max(1, math.ceil(math.sqrt(pixels / (4 * window[0] * window[1]))))
        heights, widths = ((2 * grown * length, 4 * grown * length) for length in window)
        corners = np.array([[self(height, width) for width in widths] for height in heights], dtype=float)

        def peak(height: int, width: int) -> float:
            if height <= heights[1] and width <= widths[1]:
                return self(height, width)
            down = (height - heights[0]) / (heights[1] - heights[0])
            right = (width - widths[0]) / (widths[1] - widths[0])
            return float(np.array([1 - down, down]) @ corners @ np.array([1 - right, right]))

        return peak


def _largest(peak: Callable[[int, int], float], budget: int) -> tuple[int, int] | None:
    """The largest image that fits, in steps of `STEP` rows and up to `LARGEST`; None if none does."""
    steps = largest(lambda steps: peak(steps * STEP, 2 * steps * STEP) <= budget, LARGEST // STEP)
    return (steps * STEP, 2 * steps * STEP) if steps else None
