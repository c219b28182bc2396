"""Prediction over files and folders, as `tools/predict.py` does it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import mmcv
import numpy as np
from rich.console import Console
from rich.progress import track

from infopro_seg.cli import load_config
from infopro_seg.errors import DataError, UserError
from infopro_seg.evaluation.label_images import write_image, write_label_image
from infopro_seg.inference import Predictor
from infopro_seg.visualization.overlay import overlay

IMAGE_SUFFIXES = frozenset({'.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp'})


def predict(
    config: str | Path,
    checkpoint: str | Path,
    images: Sequence[str | Path],
    out: str | Path,
    device: str | None = None,
) -> list[Path]:
    """Writes `<name>_overlay.png` and `<name>_labels.png` for each image.

    Args:
        config: path of the config.
        checkpoint: path of the checkpoint.
        images: image files, and folders that are searched for images.
        out: the folder to write into; images found in a folder keep their path below it.
        device: `cpu`, `cuda`, ...; the GPU by default where there is one.

    Returns:
        The files that could not be read; they are named on the console and left out.

    Raises:
        UserError: config or checkpoint is wrong, or there is no image.
    """
    console = Console(stderr=True)
    found = list(find_images(images))
    predictor = Predictor(load_config(config), checkpoint, device)
    skipped = []
    for path, name in track(found, description='predicting', console=console):
        try:
            labels = predictor(path)
        except DataError as error:
            console.print(f'skipped: {error}', style='yellow', markup=False, highlight=False, soft_wrap=True)
            skipped.append(path)
            continue
        target = Path(out) / name
        picture = overlay(read_rgb(path), labels, predictor.palette)
        write_label_image(target.with_name(f'{target.stem}_labels.png'), labels, predictor.classes)
        write_image(target.with_name(f'{target.stem}_overlay.png'), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    console.print(
        f'{len(found) - len(skipped)} of {len(found)} images predicted into {out}',
        markup=False,
        soft_wrap=True,
    )
    return skipped


def read_rgb(path: Path) -> np.ndarray:
    """Reads an image as (H, W, 3) RGB uint8, as the network's own loader does."""
    image: np.ndarray = mmcv.imread(str(path), channel_order='rgb')
    return image


def find_images(paths: Sequence[str | Path]) -> Iterator[tuple[Path, Path]]:
    """Yields each image once, with its path below the folder it was found in.

    Raises:
        UserError: a path does not exist, a folder holds no image, or the results of two images would
            have the same name.
    """
    results: dict[Path, Path] = {}
    for file, name in _images_below(paths):
        other = results.setdefault(name.with_suffix(''), file)
        if other is file:
            yield file, name
        elif not other.samefile(file):
            raise UserError(
                f'the results of {other} and {file} would have the same name; rename one, give a folder '
                'that holds both, or predict them into two folders (--out)'
            )


def _images_below(paths: Sequence[str | Path]) -> Iterator[tuple[Path, Path]]:
    for path in map(Path, paths):
        if path.is_dir():
            files = sorted(p for p in path.rglob('*') if p.suffix.lower() in IMAGE_SUFFIXES)
            if not files:
                raise UserError(f'no images in {path}; looked for {", ".join(sorted(IMAGE_SUFFIXES))}')
            yield from ((file, file.relative_to(path)) for file in files)
        elif path.exists():
            yield path, Path(path.name)
        else:
            raise UserError(f'no such image or folder: {path}')
