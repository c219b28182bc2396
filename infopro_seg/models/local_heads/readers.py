"""What a local head reads: the feature map at its cut, or the output of blocks after the cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.blocks import Block
from infopro_seg.models.local_heads.lookahead import look_ahead
from infopro_seg.models.local_heads.momentum_block import MomentumBlock
from infopro_seg.models.recomputation.recompute import Policy


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads the feature map at a cut.

    Args:
        block: the block before the cut.
        policy: what the module recomputes, see :mod:`infopro_seg.models.recomputation.recompute`.
    """

    block: Block
    policy: Policy = 'none'

    @property
    def shared(self) -> Sequence[Block]:
        """The blocks of the next module that the local head also trains."""
        return ()

    @property
    def owned(self) -> Sequence[nn.Module]:
        """Layers between the cut and the local head that belong to no block."""
        return ()

    def read(self, state: Any) -> Tensor:
        """The feature map of the state at the cut, (N, C, h, w)."""
        return self.block.feature(state)


@dataclass(frozen=True, kw_only=True)
class OverlapReader(Reader):
    """Reads through the first blocks of the next module, which then learn from both modules' losses.

    Args:
        ahead: these blocks; at least one.
    """

    ahead: Sequence[Block]

    @property
    def shared(self) -> Sequence[Block]:
        """The blocks that the local head reads through."""
        return self.ahead

    def read(self, state: Any) -> Tensor:
        """The feature map after the last of these blocks, (N, C, h, w)."""
        return self.ahead[-1].feature(look_ahead(self.ahead, state, self.policy))


@dataclass(frozen=True, kw_only=True)
class MomentumReader(Reader):
    """Reads through the running average of the block after the cut.

    Args:
        encoder: the encoder.
        averaged: the block after the cut.
        average: the running average of that block.
    """

    encoder: nn.Module
    averaged: Block
    average: MomentumBlock

    @property
    def owned(self) -> Sequence[nn.Module]:
        """The averaged block."""
        return (self.average,)

    def read(self, state: Any) -> Tensor:
        """The output of the averaged block for the state at the cut, (N, C, h, w)."""
        return self.average.read(self.encoder, self.averaged, state, self.policy)


def make_reader(
    block: Block,
    following: Sequence[Block],
    policy: Policy = 'none',
    overlap: int = 0,
    encoder: nn.Module | None = None,
    average: MomentumBlock | None = None,
) -> Reader:
    """Makes the reader of the local head at a cut from the options of the backbone.

    Args:
        block: the block before the cut.
        following: the blocks of the next module.
        policy: what the module recomputes.
        overlap: how many of the following blocks the local head reads through.
        encoder: the encoder; needed with `average`.
        average: the running average of the first following block, if the local head reads through it.
    """
    if average is not None and encoder is not None:
        return MomentumReader(
            block=block, policy=policy, encoder=encoder, averaged=following[0], average=average
        )
    if overlap and following:
        return OverlapReader(block=block, policy=policy, ahead=following[:overlap])
    return Reader(block=block, policy=policy)


def require_own_blocks(backbone: Any) -> None:
    """Checks that no local head reads blocks of the next module, which another process would hold.

    Args:
        backbone: config of the backbone.

    Raises:
        ConfigError: it has `overlap` or `momentum_block`.
    """
    for name in ('overlap', 'momentum_block'):
        if backbone.get(name):
            raise ConfigError(
                f'{name}={backbone[name]!r} lets a local head read blocks of the next module, which another '
                f'process holds; leave out {name}, or --module-parallel'
            )
