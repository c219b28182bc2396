"""What each piece of the chain adds to a module's memory, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PLAIN = 'none'  # the policy that recomputes nothing


@dataclass(frozen=True)
class PieceCost:
    """Bytes and FLOPs of one block, local head, or of the heads at the end.

    Args:
        forward_rise: the most bytes alive during its forward, above those before it.
        kept: bytes that its forward leaves for the backward, its output included.
        backward_rise: the most bytes alive during its backward, the gradient of its output included, above
            those before its forward, less `unread`.
        released: the part of `kept` that is its output and that only its reader keeps.
        unread: bytes of its input that it does not keep for its backward.
        cached: bytes of weights in half precision that autocast keeps until the module's forward ends, beyond
            those in `kept`.
        gradients: bytes of its parameters' gradients.
        forward_flops: floating-point operations of its forward.
        backward_flops: those of its backward, recomputation included.
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
    """What a block costs wherever it stands.

    Args:
        name: name of the block.
        state: bytes of the state that it hands on.
        owned: bytes of its parameters, buffers and their optimizer state.
        first: by policy, its cost as the first of a module, whose input needs no gradient.
        inner: by policy, its cost elsewhere.
        recomputed: by policy, FLOPs of its whole recomputation; that of a block alone may stop before its
            last operation, which nothing needs.
        lent: bytes of the copies of its norms' statistics that a recomputation leaves to its backward.
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
    """What a local head after a block costs, and what it owns (bytes)."""

    owned: int
    cost: PieceCost


@dataclass(frozen=True)
class Chain:
    """The costs of every piece that modules can be made of.

    Args:
        blocks: the blocks in turn.
        heads: `heads[k][b]` is the k-th module's local head if it ends with block b; a single row where all
            modules share one config.
        tails: `tails[n]` is the cost of neck and heads when the last module computes the last n outputs that
            are read. Two cases: the output before these is freed after the heads, or it is the state that
            the module starts from.
        outputs: indices of the blocks whose outputs are read.
        labels: bytes of the labels, alive throughout.
        image: bytes of the image that local heads reconstruct, alive until the last module.
        inputs: bytes of the network's input.
        owned: bytes of parameters, buffers and optimizer state outside blocks and local heads.
        optimizer_share: bytes that the optimizer's step takes, as a share of the gradients'.
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
    def shortest(self) -> int:
        """The fewest blocks of a module after a cut."""
        return max(1, self.overlap)

    @property
    def most_modules(self) -> int:
        """The largest number of modules."""
        return 1 + (len(self.blocks) - 1) // self.shortest

    def ends(self, module: int, modules: int, start: int) -> Sequence[int]:
        """Where a module, one of `modules`, may end that starts with block `start`."""
        count = len(self.blocks)
        if module == modules - 1:
            return [count]
        first = start + (self.shortest if module else 1)
        return range(first, count - self.shortest * (modules - module - 1) + 1)

    def shared_gradients(self, start: int) -> int:
        """Bytes of the gradients of the blocks from `start` on that the modules around a cut there share."""
        return sum(block.gradients for block in self.blocks[start : start + self.overlap])

    @property
    def fixed(self) -> int:
        """Bytes that every recipe holds: all that is owned but the local heads."""
        gradients = self.gradients if self.accumulated else 0
        return self.owned + sum(block.owned for block in self.blocks) + gradients

    @property
    def gradients(self) -> int:
        """Bytes of all gradients but the local heads'."""
        return self.tails[0][0].gradients + sum(block.gradients for block in self.blocks)
