"""The smallest steps of an encoder, in the order in which a forward pass runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import singledispatch
from importlib import import_module
from itertools import pairwise
from typing import Any, TypeAlias

from torch import Tensor, nn

from infopro_seg.errors import ConfigError

Output: TypeAlias = Callable[[Any], Tensor]

# rules for encoders of optional packages, by the encoder's class; imported when such an encoder is used
OPTIONAL_RULES = {
    'mmpretrain.models.backbones.convnext.ConvNeXt': 'infopro_seg.models.blocks.convnext',
    'mmseg.models.backbones.timm_backbone.TIMMBackbone': 'infopro_seg.models.blocks.timm_features',
}


def identity(state: Any) -> Any:
    """The state itself."""
    return state


@dataclass(frozen=True)
class Block:
    """One step of an encoder's forward pass, after which the encoder may be cut.

    Args:
        name: its name in configs and logs; for a submodule its path, e.g. `layer3.12`.
        modules: the submodules it runs; together the blocks of an encoder own all its parameters except
            those of `output`.
        forward: maps the state before the block to the state after it. The state is whatever the
            encoder passes on: a tensor (N, C, H, W), or a tree of tensors. It must not be changed in
            place.
        output: maps the state to the output that the encoder returns at this point; a sequence of such
            functions if it returns several outputs, None if it returns none. Norms on a side output belong
            here: the last module applies them to the detached state and trains them.
        feature: maps the state to the feature map (N, C, H, W) that a local head reads. It must depend on
            all of the state: parts that it leaves out are not trained.
        parameters: parameters of the block that the encoder itself holds, e.g. position embeddings.
    """

    name: str
    modules: tuple[nn.Module, ...]
    forward: Callable[[Any], Any]
    output: Output | Sequence[Output] | None = None
    feature: Callable[[Any], Tensor] = identity
    parameters: tuple[nn.Parameter, ...] = ()

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The functions from the state to the encoder's outputs at this point, in order."""
        if self.output is None:
            return ()
        return tuple(self.output) if isinstance(self.output, Sequence) else (self.output,)

    @property
    def owned(self) -> list[nn.Parameter]:
        """All parameters of the block."""
        return [*self.parameters, *(p for module in self.modules for p in module.parameters())]


@singledispatch
def iter_blocks(encoder: nn.Module) -> Iterator[Block]:
    """Yields the blocks of an encoder; running them in order equals `encoder(inputs)` bit for bit.

    To add a rule for another encoder, register one function: `@iter_blocks.register(MyEncoder)`.

    Raises:
        ConfigError: there is no rule for the encoder's type or its options.
    """
    before = set(iter_blocks.registry)
    for cls in type(encoder).__mro__:
        rule = OPTIONAL_RULES.get(f'{cls.__module__}.{cls.__qualname__}')
        if rule is not None:
            import_module(rule)
    if before != set(iter_blocks.registry):
        return iter_blocks(encoder)
    known = {cls.__name__ for cls in iter_blocks.registry if cls is not object}
    known |= {name.rpartition('.')[-1] for name in OPTIONAL_RULES}
    raise ConfigError(
        f'no block rule for the encoder {type(encoder).__name__}; rules exist for '
        f'{", ".join(sorted(known))} and their subclasses. Register one with '
        '@infopro_seg.models.iter_blocks.register, see docs/custom_encoder.md'
    )


@singledispatch
def smallest_image(encoder: nn.Module) -> tuple[int, int]:
    """Height and width, in pixels, of the smallest image worth running through an encoder.

    Encoders that accept one image size only register that size.
    """
    return 64, 64  # the smallest feature map of every encoder still has two pixels


def stage_blocks(name: str, layers: Sequence[nn.Module], output: Output | None = None) -> Iterator[Block]:
    """Yields a block for each layer of a stage whose state is a feature map.

    Args:
        name: path of the stage in the encoder.
        layers: the layers of the stage, in order.
        output: maps the state after the last layer to the encoder's output.
    """
    for step, layer in enumerate(layers):
        ends = step == len(layers) - 1
        yield Block(f'{name}.{step}', (layer,), layer, output if ends else None)


def run_in_turn(steps: Sequence[nn.Module], state: Any) -> Any:
    """Runs modules one after the other."""
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
        ConfigError: a cut is not a block or is the last block, or the cuts are not in order.
    """
    blocks = list(iter_blocks(encoder))
    names = [block.name for block in blocks]
    kind = type(encoder).__name__
    for cut in cuts:
        if cut not in names:
            raise ConfigError(
                f'cannot cut {kind} after {cut!r}{_where(cut, names)}; choose from {", ".join(names[:-1])}'
            )
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


def _where(cut: str, names: Sequence[str]) -> str:
    """For the error message: what a path names, if it is not a block."""
    around = [name for name in names if cut.startswith(f'{name}.')]
    if around:
        return f', which is inside the block {around[0]} and cannot be separated from it'
    within = [name for name in names if name.startswith(f'{cut}.')]
    return f', which is several blocks, the last of them {within[-1]}' if within else ''
