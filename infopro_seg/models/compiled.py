"""Blocks compiled by torch.compile for training, each into one graph.

The graph of a whole network would cross its cuts, but local modules, recomputation and DDP never split a
block. Blocks of the same structure share one compiled graph. Nothing is kept on the modules, so state dicts,
copies and tests of the network do not change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import torch
from mmengine.config import ConfigDict

from infopro_seg.errors import ConfigError
from infopro_seg.models.blocks import Block
from infopro_seg.models.recomputation.selective import is_watched

CompileOption: TypeAlias = bool | Mapping[str, Any]
DEFAULTS = {'fullgraph': True, 'dynamic': False}  # one graph per block and shape
COMPILED: dict[str, Callable[..., Any]] = {}
GRAPHS = 256  # limit per encoder: blocks of different structure or shape all run the same line of our code


def compile_options(option: CompileOption) -> dict[str, Any] | None:
    """The arguments of `torch.compile` from the option `compile_blocks`; None for no compilation.

    Raises:
        ConfigError: the option is neither a bool nor a dict of such arguments.
    """
    if isinstance(option, Mapping):
        return {**DEFAULTS, **option}
    if not isinstance(option, bool):
        raise ConfigError(
            f'compile_blocks={option!r}; give True, False, or a dict of arguments for torch.compile, e.g. '
            "dict(mode='max-autotune-no-cudagraphs')"
        )
    return dict(DEFAULTS) if option else None


def compiled_blocks(blocks: Sequence[Block], options: Mapping[str, Any] | None) -> list[Block]:
    """The blocks, with forward passes that are compiled when gradients are computed.

    Args:
        blocks: blocks of an encoder.
        options: the arguments of `torch.compile`; None to leave the blocks as they are.
    """
    if options is None:
        return list(blocks)
    made = ConfigDict(options).to_dict()  # plain values, as torch.compile expects
    return [replace(block, forward=partial(_run, made, block.name, block.forward)) for block in blocks]


def _run(options: dict[str, Any], name: str, forward: Callable[[Any], Any], state: Any) -> Any:
    """Runs a block: compiled if gradients are computed and nothing watches its operations.

    The planner's traces watch them, and so does recomputation that keeps the outputs of some operations (the
    policies `norms` and `expansions`). Neither works on compiled code.
    """
    if not torch.is_grad_enabled() or is_watched():
        return forward(state)
    try:
        with torch._dynamo.config.patch(recompile_limit=GRAPHS):
            return _compiled(options)(forward, state)
    except torch._dynamo.exc.Unsupported as error:
        reason = str(error).strip().split('\n', 1)[0]
        raise ConfigError(
            f'compile_blocks: {name} does not compile to a single graph ({reason}); '
            'compile_blocks=dict(fullgraph=False) compiles it in parts, compile_blocks=False not at all'
        ) from error


def _compiled(options: dict[str, Any]) -> Callable[..., Any]:
    """The compiled function, one for all blocks with the same options."""
    key = repr(options)
    if key not in COMPILED:
        COMPILED[key] = torch.compile(_call, **options)
    return COMPILED[key]


def _call(forward: Callable[[Any], Any], state: Any) -> Any:
    return forward(state)
