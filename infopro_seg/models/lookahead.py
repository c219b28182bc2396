"""Running blocks that belong to another module, for what a local head reads of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.blocks import Block
from infopro_seg.models.recompute import Policy, recompute, untouched_buffers

OWN_RECOMPUTATION = ('with_cp', 'grad_checkpointing')  # the switches of mmseg's and timm's modules


def look_ahead(blocks: Sequence[Block], state: Any, policy: Policy) -> Any:
    """Runs blocks whose own module runs them once more: the statistics of their norms stay as they are.

    So a local head learns through the first blocks of the next module, and they learn from both modules'
    losses; the state at the cut is handed on detached. It is a simple form of HPFF (Su et al., Hierarchical
    Locally Supervised Learning with Patch Feature Fusion, ECCV 2024), where each module together with the
    whole one before it learns from a joint loss (weight 0.999), and on a second path of detached
    states alone from one of its own (0.001), and local heads read patches of the feature map.

    Args:
        blocks: the blocks after a cut, in turn.
        state: the state at the cut.
        policy: what they recompute, see :mod:`infopro_seg.models.recompute`.

    Returns:
        The state after the last block.
    """
    for block in blocks:
        state = recompute(policy, partial(_borrow, block), block.modules, state)
    return state


@contextmanager
def without_own_recomputation(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Turns the encoder's own recomputation off, which would recompute after the context has ended."""
    on = [
        (module, name)
        for root in modules
        for module in root.modules()
        for name in OWN_RECOMPUTATION
        if getattr(module, name, False)
    ]
    for module, name in on:
        setattr(module, name, False)
    try:
        yield
    finally:
        for module, name in on:
            setattr(module, name, True)


def check_overlap(overlap: int, modules: Sequence[Sequence[Block]], momentum_block: Any = None) -> None:
    """Checks that every module after a cut has as many blocks as it shares.

    Args:
        overlap: number of blocks that neighbouring modules share.
        modules: the blocks of each module.
        momentum_block: the option of that name, which excludes an overlap.

    Raises:
        ConfigError: a module has fewer blocks, `overlap` is not a number of blocks, or `momentum_block` is
            set too.
    """
    if isinstance(overlap, bool) or not isinstance(overlap, int) or overlap < 0:
        raise ConfigError(f'overlap={overlap!r} counts blocks; give a whole number from 0 on')
    if overlap and momentum_block is not None:
        raise ConfigError(
            f'overlap={overlap} and momentum_block={momentum_block!r} both put a block between a cut and its '
            'local head; choose one of them'
        )
    for index, blocks in enumerate(modules[1:], 1):
        if overlap > len(blocks):
            names = ', '.join(block.name for block in blocks)
            raise ConfigError(
                f'overlap={overlap}, but local module {index} has only {len(blocks)} to share: {names}; set '
                f'overlap to {len(blocks)} or less, or move the cuts'
            )


def _borrow(block: Block, state: Any) -> Any:
    with untouched_buffers(block.modules), without_own_recomputation(block.modules):
        return block.forward(state)
