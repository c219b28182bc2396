"""The additive model: the peak of a module from the costs of its pieces."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from infopro_seg.memory.costs import Chain


@dataclass(frozen=True)
class Segment:
    """A module that runs blocks `start` to `end - 1`.

    Args:
        peak: the most bytes alive while it trains, without what the model owns and without the gradients
            of earlier local heads; those of earlier blocks are in.
        flops: floating-point operations of its forward and backward.
    """

    start: int
    end: int
    policy: str
    peak: int
    flops: int


class Segments:
    """Every module that a chain can be cut into, computed once and kept."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.segment = cache(self._segment)

    def _segment(self, module: int, start: int, end: int, policy: str) -> Segment:
        """The module number `module`; it is the last one where it runs the last block."""
        chain = self.chain
        last = end == len(chain.blocks)
        pieces = [
            (block.first if index == start else block.inner)[policy]
            for index, block in enumerate(chain.blocks[start:end], start)
        ]
        attached = [output for output in chain.outputs if start <= output] if last else []
        closing = chain.tails[len(attached)] if last else chain.head(module, end - 1).cost
        held_by_frame = attached or [end - 1]
        live = self._held(start)
        peak = live
        before: list[int] = []
        for piece in pieces:
            before.append(live)
            peak = max(peak, live + piece.forward_rise)
            live += piece.kept
        peak = max(peak, live + closing.forward_rise, live + closing.backward_rise)
        gradients = 0 if chain.accumulated else closing.gradients
        for index in range(end - 1, start - 1, -1):
            piece = pieces[index - start]
            # outputs that heads read stay alive in the caller's frame, and gradients wait for their block
            waiting = sum(chain.blocks[output].state for output in held_by_frame if output > index)
            pending = sum(chain.blocks[o].state for o in attached if o < index)
            own = piece.released if index in held_by_frame else 0
            peak = max(
                peak, before[index - start] + piece.backward_rise + waiting + pending + own + gradients
            )
            gradients += 0 if chain.accumulated else piece.gradients
        return Segment(start, end, policy, peak, sum(p.flops for p in [*pieces, closing]))

    def _held(self, start: int) -> int:
        """Bytes alive before a module: image and labels, the state at the cut, outputs, gradients."""
        chain = self.chain
        states = {output for output in chain.outputs if output < start} | ({start - 1} if start else set())
        gradients = 0 if chain.accumulated else sum(block.gradients for block in chain.blocks[:start])
        return chain.inputs + sum(chain.blocks[index].state for index in states) + gradients
