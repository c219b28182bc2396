"""Class weights in mmseg's cross-entropy, which fails with them where ignored labels do not count."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmseg.models.losses import CrossEntropyLoss
from torch import Tensor, nn


def on_device(weights: Sequence[float], device: torch.device) -> Tensor:
    """Class weights as a tensor in float64; `new_tensor`, which does so too, waits for the GPU."""
    return torch.tensor(weights, dtype=torch.float64).to(device, non_blocking=True)


def mend_class_weights(model: nn.Module) -> None:
    """Lets every softmax cross-entropy of a model take class weights together with `avg_non_ignore`.

    With class weights mmseg divides by the sum of the labels' weights, and ignored labels weigh nothing.
    `avg_non_ignore=True` means the same but raises an IndexError in mmseg, so it is switched off.
    """
    for module in model.modules():
        if isinstance(module, CrossEntropyLoss) and module.class_weight is not None:
            module.avg_non_ignore = module.avg_non_ignore and (module.use_sigmoid or module.use_mask)
