"""The classifier: mmpretrain's, with an encoder that trains in local modules."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import torch
from mmpretrain.models import ImageClassifier
from mmseg.registry import MODELS
from mmseg.utils import add_prefix
from torch import Tensor

from infopro_seg.errors import ConfigError
from infopro_seg.models.backbone import InfoProBackbone, Losses
from infopro_seg.models.channels import neck_out_channels
from infopro_seg.models.local_training import LocalTraining


@MODELS.register_module()
class InfoProImageClassifier(LocalTraining, ImageClassifier):
    """mmpretrain's `ImageClassifier` trained module by module; its last module ends with neck and head.

    Testing, prediction and the keys of the state dict are those of the stock classifier.

    Args:
        backbone: config of an :class:`infopro_seg.models.InfoProBackbone`.
        neck: config of the neck, e.g. `dict(type='mmpretrain.GlobalAveragePooling')`.
        head: config of the head, e.g. of `mmpretrain.LinearClsHead`; its `in_channels` may be left out.
        data_preprocessor: config of an `mmpretrain.ClsDataPreprocessor`.
        channels_last: whether convolutions store channels last in memory. Losses and gradients are the same
            up to rounding, and it is often faster.
        kwargs: the other arguments of `ImageClassifier`.

    Raises:
        ConfigError: the backbone is not an `InfoProBackbone`, there is no head, its `in_channels` are wrong,
            or a local head has a stride.
    """

    backbone: Any
    neck: Any
    head: Any

    def __init__(
        self,
        backbone: dict[str, Any],
        neck: dict[str, Any] | None = None,
        head: dict[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | None = None,
        channels_last: bool = False,
        **kwargs: Any,
    ) -> None:
        built = MODELS.build(backbone)
        if not isinstance(built, InfoProBackbone):
            raise ConfigError(
                f'InfoProImageClassifier needs an InfoProBackbone as backbone, not {type(built).__name__}; '
                'wrap it: dict(type="InfoProBackbone", encoder=...), or use the stock '
                'mmpretrain.ImageClassifier'
            )
        if head is None:
            raise ConfigError(
                'InfoProImageClassifier has no head: nothing would train its last module; write e.g. '
                "head=dict(type='mmpretrain.LinearClsHead', num_classes=10, "
                "loss=dict(type='mmpretrain.CrossEntropyLoss'))"
            )
        strides = [local.stride for local in built.local_heads if getattr(local, 'stride', 1) > 1]
        if strides:
            raise ConfigError(
                f'stride={strides[0]} of a local head reads fewer labels of pixels, but here an image has '
                'one label; leave stride out'
            )
        built_neck: Any = None if neck is None else MODELS.build(neck)
        channels = built.out_channels
        if built_neck is not None:
            channels = neck_out_channels(built_neck, built.out_shapes)
        given = head.get('in_channels', channels[-1])
        if given != channels[-1]:
            raise ConfigError(
                f'head.in_channels={given}, but it gets {channels[-1]} channels; leave in_channels out to '
                'have it inferred'
            )
        super().__init__(
            backbone=built,
            neck=built_neck,
            head=MODELS.build({**head, 'in_channels': given}),
            data_preprocessor={'type': 'mmpretrain.ClsDataPreprocessor', **(data_preprocessor or {})},
            **kwargs,
        )
        self.ready(channels_last, self.neck, self.head)

    def last_losses(self, features: Any, data_samples: Any) -> Generator[Losses, None, None]:
        """Yields the losses of the head, the end of the last module.

        Args:
            features: the encoder's outputs; None, for no losses, while an earlier module trains alone.
            data_samples: N samples with `gt_label`.
        """
        if features is None:
            return
        if self.with_neck:
            features = self.neck(tuple(features))  # mmpretrain's necks take no list
        losses = self.head.loss(features, data_samples)
        del features  # the graph keeps them as long as it needs them
        yield add_prefix(losses, 'head')

    def outputs_read(self) -> set[int] | None:
        """Indices of the encoder's outputs that are read; None if a neck reads them all."""
        return None if self.with_neck else {len(self.backbone.out_channels) - 1}

    @torch.no_grad()
    def scores(self, inputs: Tensor) -> Tensor:
        """The probability of each class, (N, classes), of normalised images (N, 3, H, W)."""
        return torch.stack([sample.pred_score for sample in self.predict(inputs)])
