"""Runs blocks of the next module for a local head that reads through them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import nn

from infopro_seg.errors import ConfigError
from infopro_seg.models.blocks import Block
from infopro_seg.models.recomputation.recompute import Policy, recompute, untouched_buffers

OWN_RECOMPUTATION = ('with_cp', 'grad_checkpointing')  # switches in modules of mmseg and timm


def look_ahead(blocks: Sequence[Block], state: Any, policy: Policy) -> Any:
    """Runs blocks of the next module without updating the statistics of their norms.

    Their own module runs them again, from the detached state, and updates the statistics. The local head
    reads through these blocks, so they learn from the losses of both modules. This is a simple form of HPFF
    (Su et al., Hierarchical Locally Supervised Learning with Patch Feature Fusion, ECCV 2024). In HPFF, a
    joint loss (weight 0.999) trains each module together with the whole previous one, a second path of
    detached states trains it alone (0.001), and local heads read patches of the feature map.

    Args:
        blocks: the blocks after a cut, in order.
        state: the state at the cut.
        policy: what they recompute, see :mod:`infopro_seg.models.recomputation.recompute`.

    Returns:
        The state after the last block.
    """
    for block in blocks:
        state = recompute(policy, partial(_borrow, block), block.modules, state)
    return state


@contextmanager
def without_own_recomputation(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Turns off the encoder's own recomputation, which would run only after the context has ended."""
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
    """Checks that every module after a cut has at least `overlap` blocks.

    Args:
        overlap: number of blocks that neighbouring modules share.
        modules: the blocks of each module.
        momentum_block: the backbone's option, which cannot be combined with an overlap.

    Raises:
        ConfigError: `overlap` is not a whole number, a module has fewer blocks, or
            `momentum_block` is set too.
    """
    if isinstance(overlap, bool) or not isinstance(overlap, int) or overlap < 0:
        raise ConfigError(f'overlap={overlap!r} is not a number of blocks; give a whole number, 0 or more')
    if overlap and momentum_block is not None:
        raise ConfigError(
            f'overlap={overlap} and momentum_block={momentum_block!r} both put a block between a cut and its '
            'local head; choose one of them'
        )
    for index, blocks in enumerate(modules[1:], 1):
        if overlap > len(blocks):
            names = ', '.join(block.name for block in blocks)
            raise ConfigError(
                f'overlap={overlap}, but local module {index} has only {len(blocks)} blocks: {names}; set '
                f'overlap to {len(blocks)} or less, or move the cuts'
            )


def _borrow(block: Block, state: Any) -> Any:
    with untouched_buffers(block.modules), without_own_recomputation(block.modules):
        return block.forward(state)
