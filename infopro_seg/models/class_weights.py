"""Class weights in mmseg's cross-entropy, which fails with them where ignored labels do not count."""

from __future__ import annotations

from mmseg.models.losses import CrossEntropyLoss
from torch import nn


def mend_class_weights(model: nn.Module) -> None:
    """Lets every softmax cross-entropy of a model take class weights together with `avg_non_ignore`.

    With class weights mmseg divides by the sum of the labels' weights, and ignored labels weigh nothing.
    `avg_non_ignore=True` means the same but raises an IndexError in mmseg, so it is switched off.
    """
    for module in model.modules():
        if isinstance(module, CrossEntropyLoss) and module.class_weight is not None:
            module.avg_non_ignore = module.avg_non_ignore and (module.use_sigmoid or module.use_mask)
