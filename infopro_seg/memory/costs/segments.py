"""Computes the cost of a segment, whose blocks are recomputed together, from the costs of its blocks."""

from __future__ import annotations

from dataclasses import replace

from infopro_seg.memory.costs.chain import PLAIN, BlockCost, Chain, PieceCost


def segment_cost(chain: Chain, start: int, length: int, policy: str, first: bool) -> PieceCost:
    """The cost of a segment of blocks, which keeps only its input and what the policy keeps in each block.

    In the forward pass the blocks run one after the other, and each state is freed once the next one exists.
    In the backward pass all blocks first run again, except for what the policy kept.

    Args:
        chain: the costs of the blocks.
        start: the first block.
        length: number of blocks; 1 if nothing is recomputed.
        policy: what the segment recomputes.
        first: whether the segment begins a module, so that its input needs no gradient.
    """
    blocks = chain.blocks[start : start + length]
    own = _pieces(blocks, policy, first)
    if length == 1:
        return own[0]
    plain = _pieces(blocks, PLAIN, first)
    held = [start + index in chain.outputs for index in range(length - 1)]  # whether heads read the state
    outputs = sum(cost.released for cost, is_read in zip(own, held, strict=False) if is_read)
    recomputed = sum(block.recomputed[policy] for block in blocks[:-1])
    last = own[-1]
    return replace(
        last,
        forward_rise=_forward_rise(own, held),
        kept=sum(cost.kept - cost.released for cost in own) + last.released + outputs,
        backward_rise=_backward_rise(chain, blocks, own, plain, held),
        unread=own[0].unread,
        cached=sum(cost.cached for cost in own),
        gradients=sum(cost.gradients for cost in own),
        forward_flops=sum(cost.forward_flops for cost in own),
        backward_flops=sum(cost.backward_flops for cost in plain[:-1]) + recomputed + last.backward_flops,
    )


def _pieces(blocks: tuple[BlockCost, ...], policy: str, first: bool) -> list[PieceCost]:
    head, *rest = blocks
    return [head.first[policy] if first else head.inner[policy], *(block.inner[policy] for block in rest)]


def _forward_rise(own: list[PieceCost], held: list[bool]) -> int:
    """The peak bytes of the forward pass, above those alive before it."""
    rise = kept = handed = 0
    for cost, is_read in zip(own, [*held, False], strict=True):
        rise = max(rise, kept + handed + cost.forward_rise)
        kept += cost.kept - cost.released + (cost.released if is_read else 0)
        handed = 0 if is_read else cost.released
    return rise


def _backward_rise(
    chain: Chain,
    blocks: tuple[BlockCost, ...],
    own: list[PieceCost],
    plain: list[PieceCost],
    held: list[bool],
) -> int:
    """The peak bytes of recomputation and backward pass, above those alive before the segment."""
    waiting = sum(cost.kept - cost.released for cost in own)  # what the policy kept and has not used yet
    gradient, lent = blocks[-1].state, sum(block.lent for block in blocks)
    outputs = [block.state if is_read else 0 for block, is_read in zip(blocks, held, strict=False)]
    rise = now = 0
    bases = []
    for index, cost in enumerate(plain):
        waiting -= own[index].kept - own[index].released
        rise = max(rise, now + cost.forward_rise + waiting + gradient + lent + sum(outputs))
        now -= min(cost.unread, plain[index - 1].released) if index else 0
        bases.append(now)
        now += cost.kept
    gradients = 0
    for index in reversed(range(len(plain))):
        beside = gradients + sum(outputs[:index]) + sum(block.lent for block in blocks[: index + 1])
        rise = max(rise, bases[index] + plain[index].backward_rise + beside)
        gradients += 0 if chain.accumulated else plain[index].gradients
    return rise
