"""The additive model: the peak of a module from the costs of its pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypeAlias

from infopro_seg.memory.costs import Chain, PieceCost

Position: TypeAlias = Literal['only', 'first', 'middle', 'last']


@dataclass(frozen=True)
class Segment:
    """A module that runs blocks `start` to `end - 1`.

    Args:
        peak: the most bytes alive while it trains, without what the model owns and without the gradients
            of earlier local heads; those of earlier blocks are in.
        where: what runs at the peak.
        flops: floating-point operations of its forward and backward.
    """

    start: int
    end: int
    policy: str
    peak: int
    where: str
    flops: int


@dataclass
class _Live:
    """Live bytes as a module proceeds, the most so far, and where that was."""

    now: int
    peak: int = 0
    where: str = field(default='its start')

    def reach(self, extra: int, where: str) -> None:
        if self.now + extra > self.peak:
            self.peak, self.where = self.now + extra, where


class Segments:
    """Every module that a chain can be cut into, each computed once.

    Args:
        chain: the costs of the pieces.
        offsets: bytes by which complete traces differ from the model, by a module's position.
    """

    def __init__(self, chain: Chain, offsets: Mapping[Position, int] | None = None) -> None:
        self.chain = chain
        self.offsets = dict(offsets or {})
        self._cached = cache(self._segment)

    def segment(self, module: int, start: int, end: int, policy: str) -> Segment:
        """The module number `module`; it is the last one where it runs the last block."""
        return self._cached(min(module, max(len(self.chain.heads) - 1, 0)), start, end, policy)

    def position(self, start: int, end: int) -> Position:
        """Where in the chain a module stands."""
        last = end == len(self.chain.blocks)
        return ('only' if last else 'first') if start == 0 else 'last' if last else 'middle'

    def _segment(self, module: int, start: int, end: int, policy: str) -> Segment:
        chain = self.chain
        last = end == len(chain.blocks)
        pieces = self._pieces(start, end, policy)
        attached = [output for output in chain.outputs if start <= output] if last else []
        closing = chain.tail(start) if last else chain.head(module, end - 1).cost
        live = _Live(self._held(start, last))
        bases: list[int] = []  # live bytes below each block: those before it, less what it is first to drop
        cached = 0
        for index, piece in enumerate(pieces, start):
            live.reach(piece.forward_rise + cached, f'the forward of {chain.blocks[index].name}')
            live.now -= self._dropped(index, start, pieces)
            bases.append(live.now)
            live.now += piece.kept
            cached += piece.cached
        what = 'neck and heads' if last else f'the local head after {chain.blocks[end - 1].name}'
        live.reach(closing.forward_rise + cached, f'the forward of {what}')
        live.reach(closing.backward_rise - (closing.unread if last else 0), f'the backward of {what}')
        gradients = closing.gradients + (0 if last else chain.shared_gradients(end))
        gradients = 0 if chain.accumulated else gradients
        gone = self._gone(start) if last else 0
        for index in range(end - 1, start - 1, -1):
            piece = pieces[index - start]
            live.now = bases[index - start] - gone
            extra = self._waiting(index, end, attached, piece)
            live.reach(piece.backward_rise + extra + gradients, f'the backward of {chain.blocks[index].name}')
            there = chain.accumulated or 0 < start <= index < start + chain.overlap  # since the module before
            gradients += 0 if there else piece.gradients
        peak = live.peak + self.offsets.get(self.position(start, end), 0)
        return Segment(start, end, policy, peak, live.where, sum(p.flops for p in [*pieces, closing]))

    def _pieces(self, start: int, end: int, policy: str) -> list[PieceCost]:
        first, *inner = self.chain.blocks[start:end]
        return [first.first[policy], *(block.inner[policy] for block in inner)]

    def _held(self, start: int, last: bool) -> int:
        """Bytes alive before a module: image, labels, the state at the cut, outputs, gradients."""
        chain = self.chain
        states = {output for output in chain.outputs if output < start} | ({start - 1} if start else set())
        gradients = sum(block.gradients for block in chain.blocks[:start])
        gradients += chain.shared_gradients(start) if start else 0
        gradients = 0 if chain.accumulated else gradients
        images = (0 if last else chain.image) + (0 if start else chain.inputs)
        return chain.labels + images + sum(chain.blocks[index].state for index in states) + gradients

    def _dropped(self, index: int, start: int, pieces: list[PieceCost]) -> int:
        """Bytes of a block's input that nobody keeps once the block ran."""
        piece = pieces[index - start]
        if index - 1 in self.chain.outputs:
            return 0
        return piece.unread if index == start else min(piece.unread, pieces[index - start - 1].released)

    def _gone(self, start: int) -> int:
        """Bytes of outputs of earlier modules that nobody holds once the backward of the heads is through."""
        return sum(self.chain.blocks[output].state for output in self.chain.outputs if output < start - 1)

    def _waiting(self, index: int, end: int, attached: list[int], piece: PieceCost) -> int:
        """Bytes beside a block's backward: the state for the next module, gradients of earlier outputs."""
        blocks = self.chain.blocks
        if end < len(blocks):
            return piece.released if index == end - 1 else blocks[end - 1].state
        return sum(blocks[output].state for output in attached if output < index)
