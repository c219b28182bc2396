"""Blocks that torch.compile compiles, each into one graph, for the passes that train.

A whole network would be one graph across its cuts; a block is what local modules, recomputation and DDP leave
whole. Blocks of the same structure share what is compiled. Nothing is kept on the modules, so that state
dicts, copies and tests of the network are the same as without.
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

CompileOption: TypeAlias = bool | Mapping[str, Any]
DEFAULTS = {'fullgraph': True, 'dynamic': False}  # one graph per block and shape
COMPILED: dict[str, Callable[..., Any]] = {}
GRAPHS = 256  # of one encoder: its blocks, of other structure or shapes, all run one line of code of ours


def compile_options(option: CompileOption) -> dict[str, Any] | None:
    """The arguments of `torch.compile` by the option `compile_blocks` of a config; None for no compilation.

    Raises:
        ConfigError: the option is neither a bool nor a dict of such arguments.
    """
    if isinstance(option, Mapping):
        return {**DEFAULTS, **option}
    if not isinstance(option, bool):
        raise ConfigError(
            f'compile_blocks={option!r}; give True, False, or a dict of arguments of torch.compile, e.g. '
            "dict(mode='max-autotune-no-cudagraphs')"
        )
    return dict(DEFAULTS) if option else None


def compiled_blocks(blocks: Sequence[Block], options: Mapping[str, Any] | None) -> list[Block]:
    """The blocks, with forward passes that are compiled where gradients are computed.

    Args:
        blocks: blocks of an encoder.
        options: the arguments of `torch.compile`; None to leave the blocks as they are.
    """
    if options is None:
        return list(blocks)
    made = ConfigDict(options).to_dict()  # of plain values, as torch.compile wants them
    return [replace(block, forward=partial(_run, made, block.name, block.forward)) for block in blocks]


def _run(options: dict[str, Any], name: str, forward: Callable[[Any], Any], state: Any) -> Any:
    """Runs a block, compiled where it is to train and nothing watches its operations.

    What watches them is a trace of the planner, or recomputation that keeps the outputs of some (the policies
    `norms` and `expansions`): neither works on compiled code.
    """
    if not torch.is_grad_enabled() or torch._C._len_torch_dispatch_stack():
        return forward(state)
    try:
        with torch._dynamo.config.patch(recompile_limit=GRAPHS):
            return _compiled(options)(forward, state)
    except torch._dynamo.exc.Unsupported as error:
        reason = str(error).strip().split('\n', 1)[0]
        raise ConfigError(
            f'compile_blocks: {name} is no single graph ({reason}); compile_blocks=dict(fullgraph=False) '
            'compiles it in parts, compile_blocks=False leaves it as it is'
        ) from error


def _compiled(options: dict[str, Any]) -> Callable[..., Any]:
    """The compiled function, one for all blocks with the same options."""
    key = repr(options)
    if key not in COMPILED:
        COMPILED[key] = torch.compile(_call, **options)
    return COMPILED[key]


def _call(forward: Callable[[Any], Any], state: Any) -> Any:
    return forward(state)
