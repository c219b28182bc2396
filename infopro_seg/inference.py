"""Prediction on images outside a data set."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import Resize
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate

from infopro_seg.config_files import load_config
from infopro_seg.datasets.padding import require_unpadded
from infopro_seg.devices import choose_device
from infopro_seg.drawing.palette import colours
from infopro_seg.errors import ConfigError, DataError
from infopro_seg.evaluation.label_images import class_indices, label_ids
from infopro_seg.evaluation.metainfo import trained_metainfo
from infopro_seg.evaluation.pipelines import is_step, loads_image, test_pipeline, without_labels
from infopro_seg.faults import own_frame
from infopro_seg.image_inputs import to_bgr, to_picture
from infopro_seg.tasks import refuse_classifier
from infopro_seg.trained_network import load_trained


class Predictor:
    """A trained network that segments images.

    Args:
        config: the config of the training.
        checkpoint: the checkpoint, with or without local heads.
        device: `cpu`, `cuda`, ...; by default the GPU if there is one.
        half: compute in half precision: float16 on a GPU, bfloat16 on a CPU.
        batch: number of images of the same size, or of sliding windows, computed at once.
        resize: whether images are resized as in the test pipeline.

    Raises:
        CheckpointError: the checkpoint is missing, or belongs to another model.
    """

    def __init__(
        self,
        config: Config,
        checkpoint: str | Path,
        device: str | None = None,
        half: bool = False,
        batch: int = 1,
        resize: bool = True,
    ) -> None:
        refuse_classifier(config, 'infopro_seg.load', 'tools/predict.py classifies images')
        self.device, self.half, self.batch = choose_device(device), half, batch
        model, content = load_trained(config, checkpoint, self.device)
        self.model: Any = model
        if batch > 1 and self.model.test_cfg is not None:
            self.model.test_cfg['window_batch'] = batch
        meta = trained_metainfo(content, config)
        self.classes: tuple[str, ...] = tuple(meta['classes'])
        self.palette = colours(meta.get('palette'), len(self.classes))
        self.label_ids = label_ids(meta)
        steps = without_labels(test_pipeline(config))
        if not resize:
            steps = [step for step in steps if not is_step(step, Resize)]
        self.steps: list[Any] = steps
        self.pipeline = Compose(steps)
        self.loader = Compose([step for step in steps if loads_image(step)])
        self.array_pipeline = Compose([step for step in steps if not loads_image(step)])

    def predict(self, image: Any) -> Any:
        """Segments one image, or each image of a list.

        Args:
            image: the path of an image file, a PIL image, an array of uint8, (H, W, 3) RGB or (H, W) gray, a
                tensor (3, H, W) of uint8, or a list of these.

        Returns:
            The index into `classes` of each pixel, (H, W) uint8 (uint16 with more than 256 classes); for a
            list of images, a list of these.

        Raises:
            DataError: the file cannot be read, or the argument is not an image.
        """
        if isinstance(image, (list, tuple)):
            return self._segment_all(image)
        [labels] = self._segment_all([image])
        return labels

    __call__ = predict

    def read(self, path: str | Path) -> np.ndarray:
        """Reads an image with the network's own loader, for display: (H, W, 3) RGB uint8."""
        image: np.ndarray = self.loader({'img_path': str(path)})['img']
        return to_picture(image)

    def prepare(self, image: Any) -> Any:
        """Runs the test pipeline on a path or on pixels, (H, W, 3) BGR uint8.

        Raises:
            ConfigError: it pads the image.
            DataError: the image is too narrow to be resized.
        """
        given: dict[str, Any]
        if isinstance(image, (str, os.PathLike)):
            pipeline, given = self.pipeline, {'img_path': os.fspath(image)}
        else:
            size = image.shape[:2]
            pipeline = self.array_pipeline
            given = {'img': image, 'img_path': None, 'img_shape': size, 'ori_shape': size}
        try:
            sample: Any = pipeline(given)
        except cv2.error as error:
            if own_frame(error) is not None:  # of a step of the user's own
                raise
            name = given['img_path'] or f'an image of {size[0]}x{size[1]} pixels (height x width)'
            narrow = 'dsize' in str(error) or 'inv_scale' in str(error)  # to be resized to no pixel
            hint = '; a very narrow image cannot be resized: cut it, or predict at its own size (--no-resize)'
            raise DataError(
                f'the test pipeline cannot process {name}: {" ".join(str(error).split())}{hint * narrow}'
            ) from error
        require_unpadded(self.steps, sample, 'the test pipeline')
        return sample

    @contextmanager
    def precision(self) -> Iterator[None]:
        """Inside the block, the network computes in the requested precision."""
        kind = torch.device(self.device).type
        dtype = torch.bfloat16 if kind == 'cpu' else torch.float16
        with torch.autocast(kind, dtype, enabled=self.half):
            yield

    def _segment_all(self, images: Sequence[Any]) -> list[np.ndarray]:
        """Segments images, up to `batch` of the same size at once."""
        found: list[np.ndarray] = []
        waiting: list[Any] = []
        for image in images:
            given = image if isinstance(image, (str, os.PathLike)) else to_bgr(image)
            sample = self.prepare(given)
            if waiting and (len(waiting) == self.batch or _size(waiting[0]) != _size(sample)):
                found += self._segment(waiting)
                waiting = []
            waiting.append(sample)
        return found + self._segment(waiting) if waiting else found

    @torch.no_grad()
    def _segment(self, samples: list[Any]) -> list[np.ndarray]:
        with self.precision():
            results = self.model.test_step(pseudo_collate(samples))
        kind = np.uint8 if len(self.classes) <= 256 else np.uint16
        return [class_indices(one.pred_sem_seg.data).astype(kind, copy=False) for one in results]


def _size(sample: Any) -> Any:
    """The size of the network's input; None if the pipeline makes several inputs of an image."""
    inputs = sample['inputs']
    return inputs.shape if isinstance(inputs, torch.Tensor) else None


def load(config: str | Path, checkpoint: str | Path, device: str | None = None) -> Predictor:
    """Loads a trained network, see :func:`infopro_seg.load`."""
    path = Path(config)
    if path.is_dir():
        found = sorted(path.glob('*.py'))
        if len(found) != 1:
            names = ', '.join(file.name for file in found) or 'none'
            raise ConfigError(
                f'{path} should contain one config, but it contains the .py files {names}; name one'
            )
        [path] = found
    return Predictor(load_config(path), checkpoint, device)
