"""Class weights in mmseg's cross-entropy, which fails with them if `avg_non_ignore` is set."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmseg.models.losses import CrossEntropyLoss
from torch import Tensor, nn


def on_device(weights: Sequence[float], device: torch.device) -> Tensor:
    """Class weights as a tensor in float64; unlike `new_tensor`, this does not wait for the GPU."""
    return torch.tensor(weights, dtype=torch.float64).to(device, non_blocking=True)


def mend_class_weights(model: nn.Module) -> None:
    """Makes class weights and `avg_non_ignore` work together in every softmax cross-entropy of a model.

    With class weights mmseg divides by the sum of the labels' weights, and ignored labels weigh nothing.
    `avg_non_ignore=True` means the same but raises an IndexError in mmseg, so it is switched off.
    """
    for module in model.modules():
        if isinstance(module, CrossEntropyLoss) and module.class_weight is not None:
            module.avg_non_ignore = module.avg_non_ignore and (module.use_sigmoid or module.use_mask)
