"""Prediction over files and folders, as `tools/predict.py` does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from infopro_seg.config_files import load_config
from infopro_seg.drawing.overlay import overlay
from infopro_seg.errors import UserError
from infopro_seg.evaluation.label_images import write_image, write_label_image
from infopro_seg.inference import Predictor
from infopro_seg.outputs import require_folder
from infopro_seg.predict_images import find_images, require_apart, result_paths

FAULTS = (AttributeError, ImportError, NameError, NotImplementedError, TypeError)
"""What a program's own faults raise, and hardly ever an image."""

FULL = ('out of memory', 'not enough memory', 'Insufficient memory', 'ALLOC_FAILED')
"""What torch, OpenCV and CUDA's libraries say where the memory does not suffice."""


def predict(
    config: str | Path,
    checkpoint: str | Path,
    images: Sequence[str | Path],
    out: str | Path,
    device: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Writes `<name>_overlay.png` and `<name>_labels.png` for each image.

    Args:
        config: path of the config.
        checkpoint: path of the checkpoint.
        images: image files, and folders that are searched for images.
        out: the folder to write into; images found in a folder keep their path below it.
            Where two would have results of one name, they are named apart, see :func:`output_names`.
        device: `cpu`, `cuda`, ...; the GPU by default where there is one.
        options: overrides of the config, `{'a.b': value}`.

    Returns:
        The images that could not be predicted; they are named on the console and left out.

    Raises:
        UserError: config or checkpoint is wrong, there is no image, or `out` cannot be written to.
    """
    console = Console(stderr=True)

    def say(text: str, style: str | None = None) -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    found = find_images(images)
    require_apart(found, Path(out))
    out = require_folder(out)
    if found.earlier:
        say(f'{len(found.earlier)} results of earlier predictions are left out, e.g. {found.earlier[0]}')
    predictor = Predictor(load_config(config, options), checkpoint, device)
    skipped: list[Path] = []
    fault: Exception | None = None
    for path, name in track(found.images, description='predicting', console=console):
        try:
            labels = predictor(path)
            picture = overlay(predictor.read(path), labels, predictor.palette)
        except Exception as error:  # whatever it is, the other images are predicted
            say(f'skipped: {reason_of(path, error)}', 'yellow')
            skipped.append(path)
            fault = fault or (error if isinstance(error, FAULTS) else None)
            continue
        results = result_paths(out, name)
        write_label_image(results['labels'], labels, predictor.label_ids)
        write_image(results['overlay'], picture)
    if fault is not None and len(skipped) == len(found.images):
        raise fault  # no matter of an image: with its traceback
    say(f'{len(found.images) - len(skipped)} of {len(found.images)} images predicted into {out}')
    return skipped


def reason_of(path: Path, error: Exception) -> str:
    """Why an image could not be predicted, and what to do about it, in one line."""
    if isinstance(error, UserError):
        return str(error)
    text = ' '.join(str(error).split())
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(word in text for word in FULL):
        return (
            f'{path}: out of memory; predict it on the CPU (--device cpu), or in windows: --cfg-options '
            'model.test_cfg.mode=slide "model.test_cfg.crop_size=(512,512)" "model.test_cfg.stride=(384,384)"'
        )
    return f'{path}: {type(error).__name__}: {text}' if text else f'{path}: {type(error).__name__}'
