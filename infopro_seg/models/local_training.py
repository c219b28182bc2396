"""The training step and the placement of a network that trains in local modules."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.nn.utils import convert_conv2d_weight_memory_format

from infopro_seg.models.asynchronous.turns import freeze_others, pin_elsewhere, placed
from infopro_seg.models.backbone import Losses
from infopro_seg.models.image import to_rgb
from infopro_seg.models.pretrained import pretrained_errors, require_pretrained_files
from infopro_seg.models.recomputation.recompute import recompute_norms
from infopro_seg.models.train_step import local_train_step


class LocalTraining:
    """Mixin for a network with an `InfoProBackbone`: it trains with one backward pass per local module."""

    backbone: Any
    data_preprocessor: Any

    def local_losses(self, inputs: Tensor, data_samples: Any) -> Generator[Losses, None, None]:
        """Yields the losses of each local module in turn; the last module's come from neck and heads.

        Call backward on each before you ask for the next. Then only one module's graph is alive at a time
        (paper, figure 1). In asynchronous training, only the module that trains yields losses.

        Args:
            inputs: normalised images, (N, 3, H, W).
            data_samples: N samples with labels: `gt_sem_seg`, or `gt_label` for a classifier.
        """
        image = to_rgb(inputs, self.data_preprocessor)
        early = self.backbone.local_losses(inputs, image, data_samples, self.outputs_read())
        del inputs, image  # the last module needs neither
        yield from self.last_losses((yield from early), data_samples)

    def last_losses(self, features: Any, data_samples: Any) -> Generator[Losses, None, None]:
        """Yields the losses of neck and heads, the end of the last module.

        Args:
            features: the encoder's outputs; None, for no losses, while an earlier module trains alone.
            data_samples: N samples with labels.
        """
        raise NotImplementedError

    def outputs_read(self) -> set[int] | None:
        """Indices of the encoder's outputs that are read; None for all of them."""
        raise NotImplementedError

    def loss(self, inputs: Tensor, data_samples: Any) -> Losses:
        """The losses of all modules at once, as mmseg's `loss`; they have the gradients of `local_losses`.

        All graphs are alive at the same time, so this saves no memory. The arguments are those of
        :meth:`local_losses`.
        """
        return {
            name: value
            for losses in self.local_losses(inputs, data_samples)
            for name, value in losses.items()
        }

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor') -> Any:
        """mmengine's modes, and `local_losses`, which returns the generator without starting it.

        Args:
            inputs: normalised images, (N, 3, H, W).
            data_samples: N samples with labels; needed for losses.
            mode: `tensor`, `predict`, `loss` or `local_losses`.
        """
        if mode == 'local_losses':
            return self.local_losses(inputs, data_samples)
        return super().forward(inputs, data_samples, mode)  # type: ignore[misc]

    def init_weights(self) -> None:
        """Initialises all parts.

        Raises:
            CheckpointError: pretrained weights of the encoder, the model or a head cannot be loaded.
        """
        require_pretrained_files(self)
        with pretrained_errors(self, 'model'):
            super().init_weights()  # type: ignore[misc]

    def train_step(self, data: dict[str, Any], optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """One iteration, see :func:`infopro_seg.models.train_step.local_train_step`."""
        return local_train_step(self, data, optim_wrapper)

    def after_optimizer_step(self) -> None:
        """Updates the averaged blocks after a step of the optimizer."""
        self.backbone.update_momentum_blocks()

    def ready(self, channels_last: bool, *end: nn.Module | None) -> None:
        """Ends `__init__`: sets up recomputation after the encoder, frozen modules, and the memory layout.

        Args:
            channels_last: whether convolutions store channels last.
            end: neck and heads.
        """
        if self.backbone.heads_recomputed:
            recompute_norms(*end)
        self.data_preprocessor._non_blocking = True  # mmengine's option, which stock preprocessors hide
        freeze_others(self)
        if channels_last:
            convert_conv2d_weight_memory_format(self, torch.channels_last)  # type: ignore[type-var]

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Moves or converts the model; if one module trains alone, only that module."""
        super()._apply(placed(self, fn), recurse)  # type: ignore[misc]
        pin_elsewhere(self)
        return self
