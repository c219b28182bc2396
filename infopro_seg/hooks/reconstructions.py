"""Shows in TensorBoard what each local module still knows about the image."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

from infopro_seg.drawing.attempt import drawing
from infopro_seg.models.backbone import InfoProBackbone
from infopro_seg.models.image import to_rgb, to_uint8

PICTURE = 'image_and_reconstructions'


@HOOKS.register_module()
class ReconstructionHook(Hook):
    """Logs an image of the batch beside its reconstructions by the decoders of the local modules.

    Args:
        interval: number of iterations between pictures.
    """

    def __init__(self, interval: int = 1000) -> None:
        self.interval = interval

    @torch.no_grad()
    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Draws the first image of the batch."""
        if not self.every_n_train_iters(runner, self.interval):
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if not isinstance(model.backbone, InfoProBackbone):
            return
        model.eval()
        together = getattr(runner.model, 'together', nullcontext)  # of processes with a local module each
        with together(), drawing(PICTURE, lambda text: runner.logger.warning(text)):
            first = {key: value[:1] for key, value in data_batch.items()}
            inputs = model.data_preprocessor(first, True)['inputs']
            pictures = [to_rgb(inputs, model.data_preprocessor)]
            pictures += [p for p in model.backbone.reconstructions(inputs, inputs.shape[2:]) if p is not None]
            if len(pictures) > 1 and runner.rank == 0:
                row = torch.cat([picture[0] for picture in pictures], dim=2)
                runner.visualizer.add_image(PICTURE, to_uint8(row), runner.iter + 1)
        model.train()
