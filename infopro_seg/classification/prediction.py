"""Predicts the class of each image, for `tools/predict.py`."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate

from infopro_seg.datasets.building import leaves
from infopro_seg.datasets.checks.whole_images import build_images
from infopro_seg.datasets.image_files import load_image, unreadable
from infopro_seg.devices import choose_device
from infopro_seg.errors import ConfigError, DataError, UserError
from infopro_seg.files import whole_file
from infopro_seg.tasks import refuse_classifier
from infopro_seg.trained_network import load_trained

CSV, INCOMPLETE = 'classes.csv', 'classes_incomplete.csv'
COLUMNS = ('image', 'class', 'score')
LOADER = 'LoadImageFromFile'


class ImageNetwork:
    """A trained classifier.

    Args:
        config: the config of the training.
        checkpoint: the checkpoint, with or without local heads.
        device: `cpu`, `cuda`, ...; by default the GPU if there is one.

    Raises:
        CheckpointError: the checkpoint is missing, or belongs to another model.
        ConfigError: neither checkpoint nor config names the classes, or there is no test pipeline.
    """

    def __init__(self, config: Config, checkpoint: str | Path, device: str | None = None) -> None:
        model, content = load_trained(config, checkpoint, choose_device(device))
        self.model: Any = model
        loader = config.get('test_dataloader') or config.get('val_dataloader')
        if loader is None:
            raise ConfigError(
                f'the config {config.filename} has no test_dataloader; write one: its pipeline says how '
                'images are prepared'
            )
        dataset = next(leaves(loader['dataset']))
        kept = dict((content.get('meta') or {}).get('dataset_meta') or {})
        classes = kept.get('classes') or build_images(dataset, 'test', config).metainfo['classes']
        self.classes: tuple[str, ...] = tuple(classes)
        steps = list(dataset['pipeline'])
        if LOADER not in [str(step['type']).rpartition('.')[2] for step in steps]:
            steps.insert(0, {'type': LOADER})
        self.pipeline = Compose(steps)

    @torch.no_grad()
    def __call__(self, image: str | Path) -> tuple[str, float]:
        """The class of an image file, and its score.

        Raises:
            DataError: the image cannot be read.
        """
        try:
            sample = self.pipeline({'img_path': str(image)})
        except (AssertionError, OSError, ValueError, cv2.error) as error:  # mmcv asserts that it has an image
            load_image(image)  # which says why, if the file is at fault
            raise unreadable(os.fspath(image), 'image', error) from error
        [result] = self.model.test_step(pseudo_collate([sample]))
        index = int(result.pred_label)
        return self.classes[index], float(result.pred_score[index])


def classify(
    config: Config,
    checkpoint: str | Path,
    inputs: Sequence[Any],
    out: Path,
    device: str | None,
    say: Callable[[str], None],
) -> list[Path]:
    """Writes `classes.csv`: image, class and score of each image.

    After an interrupt or an error, `classes_incomplete.csv` has those of the images so far.

    Args:
        config: the config of the training.
        checkpoint: the checkpoint.
        inputs: the inputs, see :func:`infopro_seg.prediction.inputs.find_inputs`.
        out: the folder to write into.
        device: `cpu`, `cuda`, ...
        say: called with a line for each unreadable image, and with one at the end.

    Returns:
        The images that could not be read.

    Raises:
        UserError: config or checkpoint is wrong, an input is a video, or a `classes.csv` exists that no
            prediction has written.
    """
    if any(one.kind == 'video' for one in inputs):
        refuse_classifier(config, 'prediction of videos', 'give images')
    for file in (CSV, INCOMPLETE):
        require_own_csv(out / file)
    network = ImageNetwork(config, checkpoint, device)
    rows: list[tuple[str, str, str]] = []
    skipped: list[Path] = []
    try:
        for one in inputs:
            try:
                name, score = network(one.path)
            except DataError as error:
                say(f'skipped: {error}')
                skipped.append(one.path)
            else:
                rows.append((str(one.path), name, f'{score:.4f}'))
    except BaseException:
        if rows:
            _write(out / INCOMPLETE, rows)
            say(
                f'the classes of the first {len(rows)} of {len(inputs)} images are kept in {out / INCOMPLETE}'
            )
        raise
    _write(out / CSV, rows)
    (out / INCOMPLETE).unlink(missing_ok=True)  # of an earlier prediction that stopped
    say(f'{len(rows)} of {len(inputs)} images classified: {out / CSV}')
    return skipped


def _write(path: Path, rows: Sequence[tuple[str, str, str]]) -> None:
    with whole_file(path) as partial, open(partial, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def require_own_csv(path: Path) -> None:
    """Checks that a file, if there is one, is empty or was written by an earlier prediction.

    Raises:
        UserError: it was not.
    """
    if path.exists():
        text = path.read_text(encoding='utf-8', errors='replace') if path.is_file() else 'a folder'
        if text and text.splitlines()[0] != ','.join(COLUMNS):
            raise UserError(
                f'{path} already exists and is not an earlier result, so it is not replaced; name another '
                'folder (--out)'
            )
