"""A forward pass through an encoder, some of its blocks after the other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_map_only

from infopro_seg.models.blocks import Block
from infopro_seg.models.blocks.block import Output
from infopro_seg.models.recompute import Policy, recompute


class ForwardPass:
    """The state that blocks hand on, and where on the way the encoder returns an output.

    Only outputs that are read keep their state alive, and only until the pass is over.

    Args:
        inputs: normalised images, (N, 3, H, W).
        read: which of the encoder's outputs somebody reads, None for all.
    """

    def __init__(self, inputs: Tensor, read: Collection[int] | None = None) -> None:
        self.state: Any = inputs
        self.read = read
        self._kept: list[tuple[Output, Any] | None] = []  # of each output so far

    def run(self, blocks: Sequence[Block], policy: Policy = 'none') -> None:
        """Runs blocks on the state.

        Args:
            blocks: the next blocks of the encoder.
            policy: what they recompute, see :mod:`infopro_seg.models.recompute`.
        """
        for block in blocks:
            self.state = recompute(policy, block.forward, block.modules, self.state)
            for output in block.outputs:
                is_read = self.read is None or len(self._kept) in self.read
                self._kept.append((output, self.state) if is_read else None)

    def cut(self) -> None:
        """Stops gradients here: the state and what the outputs so far are made of are detached."""
        self.state, self._kept = tree_map_only(Tensor, Tensor.detach, (self.state, self._kept))

    def outputs(self) -> tuple[Tensor | None, ...]:
        """The encoder's outputs so far, None for those not read; norms on them run now."""
        return tuple(None if item is None else item[0](item[1]) for item in self._kept)
