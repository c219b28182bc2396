"""A forward pass through an encoder, a few blocks at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_map_only

from infopro_seg.models.blocks import Block
from infopro_seg.models.blocks.block import Output
from infopro_seg.models.recomputation.recompute import recompute
from infopro_seg.models.recomputation.recompute_option import KEPT, Segment


class ForwardPass:
    """The state that blocks pass on, and the encoder's outputs on the way.

    Only outputs that are read keep their state alive, and only until the pass ends.

    Args:
        inputs: normalised images, (N, 3, H, W).
        read: indices of the encoder's outputs that are read, None for all.
    """

    def __init__(self, inputs: Tensor, read: Collection[int] | None = None) -> None:
        self.state: Any = inputs
        self.read = read
        self._kept: list[tuple[Output, Any] | None] = []  # one for each output so far

    def run(self, blocks: Sequence[Block], segments: Sequence[Segment] = ()) -> None:
        """Runs blocks on the state.

        Args:
            blocks: the next blocks of the encoder.
            segments: which of them are recomputed, none by default; see
                :mod:`infopro_seg.models.recomputation.recompute_option`.
        """
        start = 0
        for policy, length in segments or [KEPT] * len(blocks):
            part = blocks[start : start + length]
            start += length
            modules = [module for block in part for module in block.modules]
            states = recompute(policy, partial(_run, part), modules, self.state)
            self.state = states[-1]
            for block, state in zip(part, states, strict=True):
                for output in block.outputs:
                    is_read = self.read is None or len(self._kept) in self.read
                    self._kept.append((output, state) if is_read else None)
            del states, state

    def handed_on(self) -> tuple[Any, list[Any]]:
        """What the next module needs: the state, and for each output so far its state or None."""
        return self.state, [None if item is None else item[1] for item in self._kept]

    def take_over(self, kept: Sequence[Any], outputs: Sequence[Output]) -> None:
        """Takes over what the earlier modules have handed on.

        Args:
            kept: the states that their outputs are made of, None for outputs not read.
            outputs: the functions from these states to the outputs.
        """
        self._kept = [
            None if state is None else (output, state) for output, state in zip(outputs, kept, strict=True)
        ]

    def cut(self) -> None:
        """Stops gradients here: detaches the state, and what the outputs so far are made of."""
        self.state, self._kept = tree_map_only(Tensor, Tensor.detach, (self.state, self._kept))

    def outputs(self) -> tuple[Tensor | None, ...]:
        """The encoder's outputs so far, (N, C, h, w), None for those not read; norms on them run now."""
        return tuple(None if item is None else item[0](item[1]) for item in self._kept)


def _run(blocks: Sequence[Block], state: Any) -> list[Any]:
    """The states after those blocks that give outputs, and after the last."""
    states = []
    for block in blocks:
        state = block.forward(state)
        states.append(state if block.outputs or block is blocks[-1] else None)
    return states
