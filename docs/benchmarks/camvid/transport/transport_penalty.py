"""A trial: the transport penalty of TRGL on the residual blocks of a network of timm.

TRGL (Karkar et al., *Module-wise Training of Neural Networks via the Minimizing Movement Scheme*, NeurIPS
2023) adds to each local loss the squared distance between what enters a module and what leaves it, so that
early modules change no more than they need. Modules here change resolution, so the distance is taken over
each block that has a shortcut.
"""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch import Tensor, nn


class TransportPenalty(torch.autograd.Function):
    """Returns `after` as it is; its backward pass adds the gradients of the penalty.

    The penalty is `weight` times the squared distance of `before` and `after` (B, C, H, W), summed over
    channels and averaged over images and positions.
    """

    @staticmethod
    def forward(ctx: Any, before: Tensor, after: Tensor, weight: float) -> Tensor:
        """Keeps what the penalty needs, and returns `after`."""
        ctx.save_for_backward(before, after)
        ctx.weight = weight
        return after.view_as(after)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        """The gradients of the loss and of the penalty."""
        before, after = ctx.saved_tensors
        moved = (after - before) * (2 * ctx.weight * after.shape[1] / after.numel())
        return -moved, gradient + moved, None


@HOOKS.register_module()
class TransportPenaltyHook(Hook):
    """Penalises what the residual blocks of the encoder change, in all local modules.

    Args:
        weight: of the penalty, beside a task loss of weight 1.
    """

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def before_train(self, runner: Any) -> None:
        """Finds the blocks with a shortcut, and watches them."""
        blocks = [block for block in runner.model.modules() if getattr(block, 'has_skip', False)]
        if not blocks:
            raise ValueError('no block of the encoder has a shortcut (has_skip of timm)')
        for block in blocks:
            block.register_forward_hook(self._penalised)
        runner.logger.info(f'transport penalty {self.weight} on {len(blocks)} blocks')

    def _penalised(self, block: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        if not (block.training and torch.is_grad_enabled()):
            return None
        result: Tensor = TransportPenalty.apply(inputs[0], output, self.weight)
        return result
