"""The costs of each piece of the chain, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PLAIN = 'none'  # the policy that recomputes nothing


@dataclass(frozen=True)
class PieceCost:
    """Bytes and FLOPs of one block, local head, or of the heads at the end.

    Args:
        forward_rise: peak bytes during its forward pass, above those before it.
        kept: bytes that its forward pass keeps for the backward pass, including its output.
        backward_rise: peak bytes during its backward pass, including the gradient of its output, above those
            before its forward pass, minus `unread`.
        released: the part of `kept` that is its output and that only the next piece keeps.
        unread: bytes of its input that it does not keep for the backward pass.
        cached: bytes of weights in half precision that autocast keeps until the module's forward ends, beyond
            those in `kept`.
        gradients: bytes of its parameters' gradients.
        forward_flops: floating-point operations of its forward pass.
        backward_flops: those of its backward pass, including recomputation.
    """

    forward_rise: int
    kept: int
    backward_rise: int
    released: int
    unread: int
    cached: int
    gradients: int
    forward_flops: int
    backward_flops: int

    @property
    def flops(self) -> int:
        """Floating-point operations in all."""
        return self.forward_flops + self.backward_flops


@dataclass(frozen=True)
class BlockCost:
    """The costs of a block in any position.

    Args:
        name: name of the block.
        state: bytes of the state that it passes on.
        owned: bytes of its parameters, buffers and their optimizer state.
        first: by policy, its cost as the first block of a module, whose input needs no gradient.
        inner: by policy, its cost as a later block.
        recomputed: by policy, FLOPs of its complete recomputation. A block that is recomputed alone may take
            fewer, because its last operation need not run again.
        lent: bytes that recomputation keeps until the backward pass for copies of its norms' statistics.
    """

    name: str
    state: int
    owned: int
    first: Mapping[str, PieceCost]
    inner: Mapping[str, PieceCost]
    recomputed: Mapping[str, int]
    lent: int = 0

    @property
    def gradients(self) -> int:
        """Bytes of its parameters' gradients."""
        return self.inner[PLAIN].gradients


@dataclass(frozen=True)
class HeadCost:
    """The cost of a local head after a block, and the bytes that it owns."""

    owned: int
    cost: PieceCost


@dataclass(frozen=True)
class Chain:
    """The costs of all pieces of which modules consist.

    Args:
        blocks: the blocks in order.
        heads: `heads[k][b]` is the local head of module k if the module ends with block b; a single row if
            all modules share one config.
        tails: `tails[n]` is the cost of neck and heads if the last module computes the last n of the outputs
            that are read. It has two cases: the output before these n is freed after the heads, or it is
            kept, because it is the state at the start of the module.
        outputs: indices of the blocks whose outputs neck and heads read.
        labels: bytes of the labels, alive throughout.
        image: bytes of the image that local heads reconstruct, alive until the last module.
        inputs: bytes of the network's input.
        owned: bytes of parameters, buffers and optimizer state outside blocks and local heads.
        optimizer_share: temporary bytes of the optimizer's step, as a share of the gradients' bytes.
        overlap: number of blocks that neighbouring modules share.
        accumulated: whether gradients are alive throughout, from earlier iterations.
    """

    blocks: tuple[BlockCost, ...]
    heads: tuple[tuple[HeadCost, ...], ...]
    tails: tuple[tuple[PieceCost, PieceCost], ...]
    outputs: tuple[int, ...]
    labels: int
    image: int
    inputs: int
    owned: int
    optimizer_share: float
    overlap: int = 0
    accumulated: bool = False

    def head(self, module: int, block: int) -> HeadCost:
        """The local head of a module that ends with a block."""
        return self.heads[min(module, len(self.heads) - 1)][block]

    def tail(self, start: int) -> PieceCost:
        """Neck and heads after a last module that begins with the block `start`."""
        computed = sum(start <= output for output in self.outputs)
        return self.tails[computed][start - 1 in self.outputs]

    @property
    def names(self) -> list[str]:
        """The names of the blocks."""
        return [block.name for block in self.blocks]

    @property
    def shortest(self) -> int:
        """The fewest blocks of a module after a cut."""
        return max(1, self.overlap)

    @property
    def most_modules(self) -> int:
        """The largest number of modules."""
        return 1 + (len(self.blocks) - 1) // self.shortest

    def ends(self, module: int, modules: int, start: int) -> Sequence[int]:
        """The blocks with which a module that starts with block `start` may end, as one of `modules`."""
        count = len(self.blocks)
        if module == modules - 1:
            return [count]
        first = start + (self.shortest if module else 1)
        return range(first, count - self.shortest * (modules - module - 1) + 1)

    def shared_gradients(self, start: int) -> int:
        """Bytes of the gradients of blocks that the two modules around a cut before `start` share."""
        return sum(block.gradients for block in self.blocks[start : start + self.overlap])

    @property
    def fixed(self) -> int:
        """Bytes that every recipe holds: everything owned except local heads."""
        gradients = self.gradients if self.accumulated else 0
        return self.owned + sum(block.owned for block in self.blocks) + gradients

    @property
    def gradients(self) -> int:
        """Bytes of all gradients except those of local heads."""
        return self.tails[0][0].gradients + sum(block.gradients for block in self.blocks)
