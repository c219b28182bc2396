"""The additive model: computes the peak of a module from the costs of its pieces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Literal, NamedTuple, TypeAlias

from infopro_seg.memory.costs.chain import Chain, PieceCost
from infopro_seg.memory.costs.segments import segment_cost
from infopro_seg.models.recomputation.recompute_option import Segment

Position: TypeAlias = Literal['only', 'first', 'middle', 'last']


@dataclass(frozen=True)
class ModuleCost:
    """The cost of a module that runs the blocks `start` to `end - 1`.

    Args:
        start: index of its first block.
        end: index after its last block.
        segments: which blocks it recomputes.
        peak: peak bytes while it trains. It includes gradients of earlier blocks, but neither what the model
            owns nor gradients of earlier local heads.
        where: what runs at the peak.
        flops: floating-point operations of its forward and backward pass.
    """

    start: int
    end: int
    segments: tuple[Segment, ...]
    peak: int
    where: str
    flops: int


@dataclass(frozen=True)
class Place:
    """The surroundings of a module's blocks, which do not depend on recomputation.

    Args:
        held: bytes alive before the module: image, labels, the state at the cut, outputs, gradients.
        closing: the cost of the local head, or of neck and heads.
        unread: bytes of outputs that the heads do not keep; freed before the heads' backward pass.
        gradients: bytes of the gradients of `closing`, alive during the backward pass of the blocks.
        gone: bytes of outputs of earlier modules, freed after the backward pass of the heads.
        attached: the blocks of the module whose outputs the heads read.
        handed_on: whether a later module takes the state after the last block.
    """

    held: int
    closing: PieceCost
    unread: int
    gradients: int
    gone: int
    attached: tuple[int, ...]
    handed_on: bool


@dataclass
class _Live:
    """Live bytes in the course of a module, their peak so far, and what ran at the peak."""

    now: int
    peak: int = 0
    where: str = field(default='its start')

    def reach(self, extra: int, where: str) -> None:
        if self.now + extra > self.peak:
            self.peak, self.where = self.now + extra, where


class _Ran(NamedTuple):
    """A segment whose forward pass has run.

    Args:
        start: its first block.
        end: the block after its last.
        name: its name in messages.
        piece: its cost.
        base: bytes alive below it in its backward pass: those of earlier segments, less what it has dropped.
    """

    start: int
    end: int
    name: str
    piece: PieceCost
    base: int


class ModuleCosts:
    """The costs of all modules that a chain can be cut into.

    Args:
        chain: the costs of the pieces.
        offsets: bytes by which traces of complete steps exceed the additive model, by a module's position.
    """

    def __init__(self, chain: Chain, offsets: Mapping[Position, int] | None = None) -> None:
        self.chain = chain
        self.offsets = dict(offsets or {})
        self._cost = cache(self._evaluate)
        self._segment = cache(partial(segment_cost, chain))

    def cost(self, module: int, start: int, end: int, segments: tuple[Segment, ...]) -> ModuleCost:
        """The module number `module`, by the segments of its blocks."""
        return self._cost(self.row(module), start, end, segments)

    def row(self, module: int) -> int:
        """The row of `chain.heads` for a module: the only one if all modules share one config."""
        return min(module, max(len(self.chain.heads) - 1, 0))

    def segment(self, start: int, segment: Segment, first: bool) -> PieceCost:
        """The cost of a segment that begins with block `start`; `first` if it begins a module."""
        return self._segment(start, segment.length, segment.policy, first)

    def position(self, start: int, end: int) -> Position:
        """The position of a module in the chain."""
        last = end == len(self.chain.blocks)
        return ('only' if last else 'first') if start == 0 else 'last' if last else 'middle'

    def place(self, module: int, start: int, end: int) -> Place:
        """The surroundings of a module's blocks."""
        chain = self.chain
        last = end == len(chain.blocks)
        closing = chain.tail(start) if last else chain.head(module, end - 1).cost
        gradients = closing.gradients + (0 if last else chain.shared_gradients(end))
        earlier = [chain.blocks[output].state for output in chain.outputs if output < start - 1]
        return Place(
            held=self._held(start, last),
            closing=closing,
            unread=closing.unread if last else 0,
            gradients=0 if chain.accumulated else gradients,
            gone=sum(earlier) if last else 0,
            attached=tuple(output for output in chain.outputs if start <= output) if last else (),
            handed_on=not last,
        )

    def dropped(self, start: int, piece: PieceCost, before: PieceCost | None) -> int:
        """Bytes of a segment's input that are freed once it has run; `before` is the previous segment."""
        if start - 1 in self.chain.outputs:
            return 0
        return piece.unread if before is None else min(piece.unread, before.released)

    def waiting(self, place: Place, start: int, end: int, module_end: int, piece: PieceCost) -> int:
        """Bytes beside a segment's backward pass: the next module's state or gradients of earlier outputs."""
        blocks = self.chain.blocks
        if place.handed_on:
            return piece.released if end == module_end else blocks[module_end - 1].state
        return sum(blocks[output].state for output in place.attached if output < start)

    def _evaluate(self, row: int, start: int, end: int, segments: tuple[Segment, ...]) -> ModuleCost:
        chain, place = self.chain, self.place(row, start, end)
        live = _Live(place.held)
        ran: list[_Ran] = []
        cached = freed = 0
        at = start
        for segment in segments:
            after = at + segment.length
            piece = self.segment(at, segment, at == start)
            name = _name(chain, at, after)
            live.reach(piece.forward_rise + cached, f'the forward of {name}')
            live.now -= self.dropped(at, piece, ran[-1].piece if ran else None)
            ran.append(_Ran(at, after, name, piece, live.now - freed))
            inside = (output for output in place.attached if at <= output < after - 1)
            freed += sum(chain.blocks[output].state for output in inside)  # after the heads
            live.now += piece.kept
            cached += piece.cached
            at = after
        what = f'the local head after {chain.blocks[end - 1].name}' if place.handed_on else 'neck and heads'
        live.reach(place.closing.forward_rise + cached, f'the forward of {what}')
        live.reach(place.closing.backward_rise - place.unread, f'the backward of {what}')
        gradients = place.gradients
        for at, after, name, piece, base in reversed(ran):
            live.now = base - place.gone
            extra = self.waiting(place, at, after, end, piece) + gradients
            live.reach(piece.backward_rise + extra, f'the backward of {name}')
            gradients += sum(self.new_gradients(start, index) for index in range(at, after))
        peak = live.peak + self.offsets.get(self.position(start, end), 0)
        flops = place.closing.flops + sum(one.piece.flops for one in ran)
        return ModuleCost(start, end, segments, peak, live.where, flops)

    def new_gradients(self, start: int, index: int) -> int:
        """Bytes of a block's gradients that do not exist before its backward pass."""
        chain = self.chain
        exist = chain.accumulated or 0 < start <= index < start + chain.overlap  # from the previous module
        return 0 if exist else chain.blocks[index].gradients

    def _held(self, start: int, last: bool) -> int:
        chain = self.chain
        states = {output for output in chain.outputs if output < start} | ({start - 1} if start else set())
        gradients = sum(block.gradients for block in chain.blocks[:start])
        gradients += chain.shared_gradients(start) if start else 0
        gradients = 0 if chain.accumulated else gradients
        images = (0 if last else chain.image) + (0 if start else chain.inputs)
        return chain.labels + images + sum(chain.blocks[index].state for index in states) + gradients


def _name(chain: Chain, start: int, end: int) -> str:
    first, last = chain.blocks[start].name, chain.blocks[end - 1].name
    return first if first == last else f'{first} to {last}'
