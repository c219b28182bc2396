"""Cross-entropy of upsampled logits that never holds a batch of logits at full resolution.

Stock mmseg upsamples the logits to the size of the labels and passes them to the loss. At its peak, three
tensors of (N, classes, H, W) are alive. Here the forward pass upsamples, compares and differentiates
one strip of rows at a time. Only the gradient of the small logits is kept for the backward pass.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from infopro_seg.models.losses.strip_upsampling import StripUpsampling

STRIP_BYTES = 16 * 2**20  # of upsampled logits at a time: a few per cent of a batch, yet long GPU kernels


class CrossEntropySums(NamedTuple):
    """The scalars from which mmseg's reductions of loss and accuracy are computed.

    Args:
        loss: sum of the weighted cross-entropies; the only one with a gradient.
        weight: sum of the class weights of the labels that count; without class weights, their number.
        labels: number of labels that count.
        correct: number of labels that count and have the largest logit.
    """

    loss: Tensor
    weight: Tensor
    labels: Tensor
    correct: Tensor


def upsampled_cross_entropy(
    logits: Tensor,
    label: Tensor,
    *,
    class_weight: Tensor | None = None,
    pixel_weight: Tensor | None = None,
    ignore_index: int | None = 255,
    align_corners: bool = False,
) -> CrossEntropySums:
    """Compares labels with logits, upsampled bilinearly to the size of the labels, strip by strip.

    Logits of lower precision are computed in float32, also under autocast.

    Args:
        logits: (N, classes, h, w), at any resolution.
        label: class indices (N, H, W).
        class_weight: (classes,).
        pixel_weight: (N, H, W).
        ignore_index: the label to ignore.
        align_corners: `align_corners` of the upsampling.
    """
    apply: Any = _UpsampledCrossEntropy.apply
    with_gradient = torch.is_grad_enabled()
    return CrossEntropySums(
        *apply(logits, label, class_weight, pixel_weight, ignore_index, align_corners, with_gradient)
    )


class _UpsampledCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        label: Tensor,
        class_weight: Tensor | None,
        pixel_weight: Tensor | None,
        ignore_index: int | None,
        align_corners: bool,
        with_gradient: bool,
    ) -> tuple[Tensor, ...]:
        with torch.autocast(logits.device.type, enabled=False):
            small = logits if logits.dtype == torch.float64 else logits.float()
            weight = None if class_weight is None else class_weight.to(small)
            with_gradient = with_gradient and ctx.needs_input_grad[0]
            gradient = torch.zeros_like(small) if with_gradient else None
            height, width = label.shape[-2:]
            rows = max(1, STRIP_BYTES // (small[:, :, 0, 0].numel() * small.element_size() * width))
            sums = torch.zeros(4, dtype=torch.float64, device=small.device)
            for start in range(0, height, rows):
                strip = slice(start, min(start + rows, height))
                pixels = None if pixel_weight is None else pixel_weight[:, strip].to(small)
                upsampling = StripUpsampling(small, strip, (height, width), align_corners)
                scores = upsampling(small)
                sums += _strip_sums(scores, label[:, strip], weight, pixels, ignore_index, with_gradient)
                if gradient is not None:
                    upsampling.add_backward(scores, gradient)
                del scores  # before the next strip is made
        if gradient is not None:
            ctx.save_for_backward(gradient)
            ctx.dtype = logits.dtype
        loss, *counts = (value.clone() for value in sums.to(small.dtype))
        ctx.mark_non_differentiable(*counts)
        return (loss, *counts)

    @staticmethod
    def backward(ctx: Any, grad_loss: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                'LeanCrossEntropyLoss has no second derivative (create_graph=True); use CrossEntropyLoss'
            )
        (gradient,) = ctx.saved_tensors
        return ((gradient * grad_loss).to(ctx.dtype), None, None, None, None, None, None)


def _strip_sums(
    scores: Tensor,
    label: Tensor,
    class_weight: Tensor | None,
    pixel_weight: Tensor | None,
    ignore_index: int | None,
    with_gradient: bool,
) -> Tensor:
    """The four sums over one strip; turns `scores` (N, C, H, W) into the gradient of the loss, in place."""
    valid = torch.ones_like(label, dtype=torch.bool) if ignore_index is None else label != ignore_index
    target = torch.where(valid, label, 0)
    factor = valid.to(scores) if class_weight is None else class_weight[target] * valid
    counted = factor.sum()
    if pixel_weight is not None:
        factor = factor * pixel_weight
    target = target.unsqueeze(1)
    picked = scores.gather(1, target)
    highest, predicted = scores.max(1, keepdim=True)
    correct = ((predicted == target).squeeze(1) & valid).sum()
    normaliser = scores.sub_(highest).exp_().sum(1, keepdim=True)
    loss = ((normaliser.log() + highest - picked).squeeze(1) * factor).sum(dtype=torch.float64)
    if with_gradient:  # softmax minus one-hot
        factor = factor.unsqueeze(1)
        scores.mul_(factor / normaliser).scatter_add_(1, target, -factor)
    return torch.stack([loss, *(value.double() for value in (counted, valid.sum(), correct))])
