"""mmseg's cross-entropy without logits at full resolution, for any decode head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import CrossEntropyLoss
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor, nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.losses.binary_losses import binary_losses
from infopro_seg.models.losses.class_weights import on_device
from infopro_seg.models.losses.upsampled_cross_entropy import CrossEntropySums, upsampled_cross_entropy

EPS = torch.finfo(torch.float32).eps  # mmseg's guard against a batch without labels


@MODELS.register_module()
class LeanCrossEntropyLoss(CrossEntropyLoss):
    """mmseg's softmax `CrossEntropyLoss` in a fraction of the memory; a drop-in for `loss_decode`.

    If all losses of a head are lean, they get the head's small logits, see
    :func:`head_losses`. Other heads may call the loss with upsampled logits.

    Args:
        class_weight: weight of each class, or a file with them.
        reduction: `mean` or `sum`; `none` falls back to the stock loss.
        loss_weight: factor of the loss.
        loss_name: name in the log.
        avg_non_ignore: whether ignored labels are left out of the mean; with class weights they always are.

    Raises:
        ConfigError: `use_sigmoid` or `use_mask` is set. When the loss is computed: the number of class
            weights differs from the number of classes.
    """

    def __init__(
        self, reduction: str = 'mean', use_sigmoid: bool = False, use_mask: bool = False, **kwargs: Any
    ) -> None:
        if use_sigmoid or use_mask:
            raise ConfigError(
                'LeanCrossEntropyLoss has no use_sigmoid and no use_mask; use the stock loss: '
                "loss_decode=dict(_delete_=True, type='CrossEntropyLoss', use_sigmoid=True)"
            )
        super().__init__(reduction=reduction, **kwargs)

    def forward(
        self,
        cls_score: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
        ignore_index: int = -100,
        align_corners: bool = False,
        **kwargs: Any,
    ) -> Tensor:
        """As in mmseg, for logits (N, classes, h, w) of any resolution and labels (N, H, W)."""
        reduction = reduction_override or self.reduction
        if reduction == 'none' or cls_score.dim() != 4:
            loss: Tensor = super().forward(
                cls_score, label, weight, avg_factor, reduction_override, ignore_index, **kwargs
            )
            return loss
        sums = self.sums(cls_score, label, weight, ignore_index, align_corners)
        return self.reduce(sums, label.numel(), avg_factor, reduction)

    def sums(
        self,
        logits: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        ignore_index: int | None = 255,
        align_corners: bool = False,
    ) -> CrossEntropySums:
        """The sums over pixels, see :func:`upsampled_cross_entropy`.

        Args:
            logits: (N, classes, h, w), at any resolution.
            label: class indices, (N, H, W).
            weight: weight of each pixel, (N, H, W).
            ignore_index: the label to ignore.
            align_corners: `align_corners` of the upsampling.

        Raises:
            ConfigError: the number of class weights differs from the number of classes.
        """
        class_weight = self.class_weight
        if class_weight is not None:
            if len(class_weight) != logits.shape[1]:
                raise ConfigError(
                    f'class_weight of LeanCrossEntropyLoss has {len(class_weight)} weights for '
                    f'{logits.shape[1]} classes; give one for each'
                )
            class_weight = on_device(class_weight, logits.device)
        return upsampled_cross_entropy(
            logits,
            label,
            class_weight=class_weight,
            pixel_weight=weight,
            ignore_index=ignore_index,
            align_corners=align_corners,
        )

    def reduce(
        self,
        sums: CrossEntropySums,
        pixels: int,
        avg_factor: float | None = None,
        reduction: str | None = None,
    ) -> Tensor:
        """The loss, a scalar times `loss_weight`, from its sums.

        Args:
            sums: the sums over the pixels.
            pixels: number of pixels, including ignored ones.
            avg_factor: divides the sum in place of the number of pixels.
            reduction: `mean` or `sum`; None for the loss's own.
        """
        loss = sums.loss
        if (reduction or self.reduction) == 'sum':
            if avg_factor is not None:
                raise ValueError('avg_factor can not be used with reduction="sum"')
        elif avg_factor is not None:
            loss = loss / (avg_factor + EPS)
        elif self.class_weight is None and not self.avg_non_ignore:
            loss = loss / (pixels + EPS)
        else:
            loss = loss / (sums.weight + EPS)
        weighted: Tensor = self.loss_weight * loss
        return weighted


def head_losses(
    head: Any, features: Sequence[Tensor], data_samples: SampleList, train_cfg: Any = None
) -> dict[str, Tensor]:
    """The result of `head.loss(features, data_samples, train_cfg)`, without logits at full resolution.

    This needs a head whose losses are all :class:`LeanCrossEntropyLoss`, which inherits `loss` and
    `loss_by_feat` from mmseg's `BaseDecodeHead` and has no pixel sampler. For any other head, its own `loss`
    is called.

    Args:
        head: any mmseg decode head.
        features: feature maps (N, C, h, w); the head selects those that it reads.
        data_samples: N samples with `gt_sem_seg`.
        train_cfg: mmseg's training config, for the head's own loss.
    """
    if getattr(head, 'out_channels', None) == 1 and _inherits(head) and head.sampler is None:
        return binary_losses(head, features, data_samples)
    losses = _lean_losses(head)
    if losses is None:
        stock: dict[str, Tensor] = head.loss(features, data_samples, train_cfg)
        return stock
    logits = head(features)
    label = head._stack_batch_gt(data_samples).squeeze(1)
    out: dict[str, Tensor] = {}
    for criterion in losses:
        sums = criterion.sums(logits, label, None, head.ignore_index, head.align_corners)
        loss = criterion.reduce(sums, label.numel())
        name = criterion.loss_name
        out[name] = out[name] + loss if name in out else loss
    out['acc_seg'] = ((sums.correct + EPS) * (100 / (sums.labels + EPS))).view(1)
    return out


def _lean_losses(head: Any) -> list[LeanCrossEntropyLoss] | None:
    """The losses of a head if all of them are lean, else None."""
    if not _inherits(head) or head.sampler is not None:
        return None
    found = head.loss_decode if isinstance(head.loss_decode, nn.ModuleList) else [head.loss_decode]
    losses = [loss for loss in found if isinstance(loss, LeanCrossEntropyLoss) and loss.reduction != 'none']
    return losses if len(losses) == len(found) else None


def _inherits(head: Any) -> bool:
    """Whether a head computes its losses as mmseg's `BaseDecodeHead` does."""
    kind = type(head)
    return (
        isinstance(head, BaseDecodeHead)
        and kind.loss is BaseDecodeHead.loss
        and kind.loss_by_feat is BaseDecodeHead.loss_by_feat
    )
