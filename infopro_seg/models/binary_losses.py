"""The losses of a decode head with one output channel, the share of the second class after a sigmoid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.utils import resize
from mmseg.utils import SampleList
from torch import Tensor

EPS = torch.finfo(torch.float32).eps  # mmseg's guard against a batch without labels


def binary_losses(head: Any, features: Sequence[Tensor], data_samples: SampleList) -> dict[str, Tensor]:
    """mmseg's losses of a head with one channel, with the accuracy at the head's threshold.

    mmseg's own accuracy takes the largest of the one channel, so that it is the share of class 0; and its
    sigmoid cross-entropy fails on a batch in which every pixel is ignored, whose losses are 0.

    Args:
        head: a decode head with `out_channels=1` that takes its losses from mmseg's `BaseDecodeHead`.
        features: feature maps (N, C, h, w), of which the head selects its own.
        data_samples: N samples with `gt_sem_seg`.
    """
    logits = head(features)
    label = head._stack_batch_gt(data_samples).squeeze(1)
    ignored = label == head.ignore_index
    if not ignored.all():
        losses: dict[str, Tensor] = head.loss_by_feat(logits, data_samples)
    else:
        found = head.loss_decode if isinstance(head.loss_decode, torch.nn.ModuleList) else [head.loss_decode]
        losses = {str(loss.loss_name): logits.sum() * 0 for loss in found}
    with torch.no_grad():
        scores = resize(logits, size=label.shape[1:], mode='bilinear', align_corners=head.align_corners)
        predicted = scores.squeeze(1).sigmoid() > head.threshold
        correct = ((predicted == (label == 1)) & ~ignored).sum()
        losses['acc_seg'] = ((correct + EPS) * (100 / ((~ignored).sum() + EPS))).view(1)
    return losses
