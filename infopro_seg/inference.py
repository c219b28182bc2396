"""Prediction on images outside a data set."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import Resize
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from infopro_seg.checkpoints import read_checkpoint
from infopro_seg.config_edits import without_local_modules, without_pretraining
from infopro_seg.config_files import load_config
from infopro_seg.devices import choose_device
from infopro_seg.drawing.palette import colours
from infopro_seg.errors import ConfigError
from infopro_seg.evaluation.label_images import class_indices, label_ids
from infopro_seg.evaluation.metainfo import trained_metainfo
from infopro_seg.evaluation.pipelines import is_step, loads_image, test_pipeline, without_labels
from infopro_seg.hooks.checkpoint_guard import drop_local_heads, require_fit
from infopro_seg.image_inputs import to_bgr, to_picture
from infopro_seg.tasks import refuse_classifier


class Predictor:
    """A trained network that segments images.

    Args:
        config: the config of its training.
        checkpoint: its checkpoint, with or without local heads.
        device: `cpu`, `cuda`, ...; by default the GPU if there is one.
        half: compute in half precision: float16 on a GPU, bfloat16 on a CPU.
        batch: number of images of one size, or of sliding windows, that are computed at once.
        resize: whether images are resized as the test pipeline says.

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
        init_default_scope(config.get('default_scope', 'mmseg'))
        content = read_checkpoint(checkpoint)
        model = revert_sync_batchnorm(MODELS.build(without_pretraining(without_local_modules(config.model))))
        drop_local_heads(model, content)
        state_dict = content.get('state_dict', content)
        require_fit(state_dict, model.state_dict(), str(checkpoint))
        model.load_state_dict(state_dict, strict=False)
        self.model: Any = model.to(self.device).eval()
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
        """Segments one image, or each of a list.

        Args:
            image: path of an image file; or the image itself: a PIL image, an array (H, W, 3) of uint8 in the
                order RGB or a gray one (H, W), a tensor (3, H, W) of uint8; or a list of these.

        Returns:
            The index into `classes` of each pixel, (H, W) uint8 (uint16 with more than 256 classes); a list
            of these for a list of images.

        Raises:
            DataError: the file cannot be read, or the argument is not an image.
        """
        if isinstance(image, (list, tuple)):
            return self._segment_all(image)
        [labels] = self._segment_all([image])
        return labels

    __call__ = predict

    def read(self, path: str | Path) -> np.ndarray:
        """An image as the network's own loader reads it, converted to be shown: (H, W, 3) RGB uint8."""
        image: np.ndarray = self.loader({'img_path': str(path)})['img']
        return to_picture(image)

    def prepare(self, image: Any) -> Any:
        """A path, or pixels (H, W, 3) BGR uint8, as the test pipeline prepares images for the network."""
        if isinstance(image, (str, os.PathLike)):
            return self.pipeline({'img_path': os.fspath(image)})
        size = image.shape[:2]
        return self.array_pipeline({'img': image, 'img_path': None, 'img_shape': size, 'ori_shape': size})

    @contextmanager
    def precision(self) -> Iterator[None]:
        """Inside the block, the network computes in the precision that was asked for."""
        kind = torch.device(self.device).type
        dtype = torch.bfloat16 if kind == 'cpu' else torch.float16
        with torch.autocast(kind, dtype, enabled=self.half):
            yield

    def _segment_all(self, images: Sequence[Any]) -> list[np.ndarray]:
        """Segments images, as many of one size at once as `batch` says."""
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
    """The size of an image as the network gets it; of one that a pipeline has made several of, None."""
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
                f'{path} should hold one config, but the .py files in it are: {names}; name one'
            )
        [path] = found
    return Predictor(load_config(path), checkpoint, device)
