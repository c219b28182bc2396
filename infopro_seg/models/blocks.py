"""The smallest steps of an encoder, in the order in which a forward pass runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, singledispatch
from itertools import pairwise
from typing import Any

from mmseg.models.backbones import ResNet
from torch import Tensor, nn

from infopro_seg.errors import ConfigError


def _identity(state: Any) -> Any:
    return state


@dataclass(frozen=True)
class Block:
    """One step of an encoder's forward pass, after which the encoder may be cut.

    Args:
        name: how configs and logs call it; for a submodule its path, e.g. `layer3.12`.
        modules: the submodules it runs; together the blocks of an encoder own all its parameters but
            those of `output`.
        forward: maps the state before the block to the state after it. The state is whatever the
            encoder hands on: a tensor (N, C, H, W), or a tree of tensors.
        output: maps the state to the output that the encoder returns at this point; None where it
            returns none. Norms that sit on a side output belong here: they are trained by the last
            module, which applies them to the detached state.
        feature: maps the state to the feature map (N, C, H, W) that a local head reads.
    """

    name: str
    modules: tuple[nn.Module, ...]
    forward: Callable[[Any], Any]
    output: Callable[[Any], Tensor] | None = None
    feature: Callable[[Any], Tensor] = _identity


@singledispatch
def iter_blocks(encoder: nn.Module) -> Iterator[Block]:
    """Yields the blocks of an encoder; running them in turn equals `encoder(inputs)` bit for bit.

    A rule for another encoder is one function: `@iter_blocks.register(MyEncoder)`.

    Raises:
        ConfigError: there is no rule for the encoder's type.
    """
    known = sorted(cls.__name__ for cls in iter_blocks.registry if cls is not object)
    raise ConfigError(
        f'no block rule for the encoder {type(encoder).__name__}; rules exist for '
        f'{", ".join(known)} and their subclasses. Register one with '
        '@infopro_seg.models.iter_blocks.register'
    )


@iter_blocks.register
def _(encoder: ResNet) -> Iterator[Block]:
    """ResNet and what derives from it: ResNetV1c, ResNetV1d, ResNeXt, ResNeSt."""
    stem = ('stem',) if encoder.deep_stem else ('conv1', encoder.norm1_name, 'relu')
    steps = tuple(getattr(encoder, name) for name in (*stem, 'maxpool'))
    yield Block('stem', steps, partial(_run_in_turn, steps))
    for index, layer_name in enumerate(encoder.res_layers):
        layer = getattr(encoder, layer_name)
        for step, block in enumerate(layer):
            ends_stage = step == len(layer) - 1 and index in encoder.out_indices
            output = _identity if ends_stage else None
            yield Block(f'{layer_name}.{step}', (block,), block, output)


def _run_in_turn(steps: Sequence[nn.Module], state: Tensor) -> Tensor:
    for step in steps:
        state = step(state)
    return state


def split_blocks(encoder: nn.Module, cuts: Sequence[str]) -> list[list[Block]]:
    """Splits an encoder into its local modules.

    Args:
        encoder: a module with a block rule.
        cuts: names of the blocks after which gradients stop, in the order of the blocks; none for
            end-to-end training.

    Returns:
        The blocks of each of the `len(cuts) + 1` modules.

    Raises:
        ConfigError: a cut names no block, names the last one, or the cuts are not in order.
    """
    blocks = list(iter_blocks(encoder))
    names = [block.name for block in blocks]
    kind = type(encoder).__name__
    for cut in cuts:
        if cut not in names:
            raise ConfigError(f'cannot cut {kind} after {cut!r}; choose from {", ".join(names[:-1])}')
        if cut == names[-1]:
            raise ConfigError(
                f'cannot cut {kind} after its last block {cut!r}: no block would be left for the last '
                f'module; choose from {", ".join(names[:-1])}'
            )
    ends = [names.index(cut) + 1 for cut in cuts]
    if sorted(set(ends)) != ends:
        ordered = tuple(sorted(set(cuts), key=names.index))
        raise ConfigError(
            f'the cuts {tuple(cuts)} of {kind} are not in the order of its blocks; write {ordered}'
        )
    bounds = [0, *ends, len(blocks)]
    return [blocks[start:end] for start, end in pairwise(bounds)]
