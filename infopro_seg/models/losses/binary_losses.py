"""The losses of a decode head with one output channel: after a sigmoid, the score of the second class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from mmseg.models.losses import CrossEntropyLoss
from mmseg.models.losses.utils import weight_reduce_loss
from mmseg.models.utils import resize
from mmseg.utils import SampleList
from torch import Tensor, nn

from infopro_seg.errors import DataError
from infopro_seg.models.losses.class_weights import on_device

_under_way: WeakKeyDictionary[nn.Module, tuple[Tensor, Any]] = WeakKeyDictionary()
"""For each head, the highest label on its way from the GPU, and the event of its arrival."""
EPS = torch.finfo(torch.float32).eps  # mmseg's guard against a batch without labels


def binary_losses(head: Any, features: Sequence[Tensor], data_samples: SampleList) -> dict[str, Tensor]:
    """mmseg's losses of a head with one channel, with the accuracy at the head's threshold.

    mmseg's own accuracy takes the argmax over the single channel, so it reports the share of class 0. Its
    sigmoid cross-entropy fails if every pixel of a batch is ignored, and in a trace, which has no values.

    Args:
        head: a decode head with `out_channels=1` that takes its losses from mmseg's `BaseDecodeHead`, without
            a pixel sampler.
        features: feature maps (N, C, h, w); the head selects those that it reads.
        data_samples: N samples with `gt_sem_seg`.

    Returns:
        The losses by name, scalars, and `acc_seg` in percent, (1,).

    Raises:
        DataError: the labels contain more than two classes. On a GPU these are the labels of the previous
            step, so that the program does not wait for this one.
    """
    label = head._stack_batch_gt(data_samples).squeeze(1)
    valid = label != head.ignore_index
    _check_labels(head, label, valid)
    logits = head(features)
    scores = resize(logits, size=label.shape[1:], mode='bilinear', align_corners=head.align_corners)
    losses: dict[str, Tensor] = {}
    for criterion in head.loss_decode if isinstance(head.loss_decode, nn.ModuleList) else [head.loss_decode]:
        if isinstance(criterion, CrossEntropyLoss) and criterion.use_sigmoid:
            loss = _sigmoid_cross_entropy(criterion, scores.squeeze(1), label, valid)
        else:
            loss = criterion(scores, label, ignore_index=head.ignore_index)
        name = str(criterion.loss_name)
        losses[name] = losses[name] + loss if name in losses else loss
    with torch.no_grad():
        predicted = scores.squeeze(1).sigmoid() > head.threshold
        correct = ((predicted == (label == 1)) & valid).sum()
        losses['acc_seg'] = ((correct + EPS) * (100 / (valid.sum() + EPS))).view(1)
    return losses


def _check_labels(head: Any, label: Tensor, valid: Tensor) -> None:
    """Rejects a third class, as soon as its number has arrived."""
    highest = torch.where(valid, label, 0).amax()
    known: Tensor | None = highest
    if highest.is_cuda:
        arrived, event = _under_way.get(head, (None, None))
        known = arrived if event is not None and event.query() else None
        copy = torch.zeros((), dtype=highest.dtype, pin_memory=True).copy_(highest, non_blocking=True)
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        _under_way[head] = copy, event
    if known is not None and int(known) > 1:
        raise DataError(
            f'the labels contain the id {int(known)}, but a head with one output channel has only 0 and 1; '
            'convert the labels, or leave out out_channels and give num_classes'
        )


def _sigmoid_cross_entropy(criterion: Any, scores: Tensor, label: Tensor, valid: Tensor) -> Tensor:
    """mmseg's `binary_cross_entropy`, weighted; `scores` (N, H, W)."""
    weight = criterion.class_weight
    losses = F.binary_cross_entropy_with_logits(
        scores,
        (label == 1).to(scores),
        pos_weight=None if weight is None else on_device(weight, scores.device).to(scores),
        reduction='none',
    )
    mean = criterion.reduction == 'mean' and criterion.avg_non_ignore
    counted = valid.to(scores)
    loss: Tensor = weight_reduce_loss(losses, counted, criterion.reduction, counted.sum() if mean else None)
    weighted: Tensor = criterion.loss_weight * loss
    return weighted
