"""A running average of the block after a cut; the local head before the cut reads through it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from infopro_seg.errors import ConfigError
from infopro_seg.models.blocks import Block
from infopro_seg.models.local_heads.lookahead import without_own_recomputation
from infopro_seg.models.recomputation.recompute import Policy, recompute


class MomentumBlock(nn.Module):
    """The exponential moving average of a block, kept beside the local head of the module before it.

    The local head reads the output of the averaged block, so its module learns what helps the next
    module (MAN: Su et al., Momentum Auxiliary Network for Supervised Local Learning,
    ECCV 2024). The average is not trained, but gradients pass through it.

    With `learnable=True`, the local loss trains a second copy of the block, and its output is added. MAN
    does so too and calls it a learnable bias. Three things differ from MAN. Both copies start from the
    block's weights at the first step, including pretrained ones; in MAN each starts at random. The average
    is updated after each step of the optimizer; in MAN, after the backward pass of the previous module. The
    statistics of norms are averaged like weights and used in evaluation; in MAN they are the copy's own.

    Averages are buffers with the encoder's own names. Optimizers, initialisation and DDP's reducer do not
    see them; they are moved, copied and saved with the model.

    Args:
        encoder: the encoder.
        block: one of its blocks.
        momentum: share of the old average that each update keeps; 0.995 in MAN.
        learnable: whether a trained copy of the block adds to the average's output.
    """

    def __init__(
        self, encoder: nn.Module, block: Block, momentum: float = 0.995, learnable: bool = False
    ) -> None:
        super().__init__()
        self.momentum = momentum
        tensors = _of_block(encoder, block)
        self.average = _tree({name: _copied(tensor, False) for name, tensor in tensors.items()})
        self.bias: nn.Module | None = None
        if learnable:
            self.bias = _tree({name: _copied(tensor, True) for name, tensor in tensors.items()})
        self.updates: Tensor
        self.register_buffer('updates', torch.zeros((), dtype=torch.long))
        self._started = False  # whether `updates` is above zero; reading that would wait for the GPU

    def read(self, encoder: nn.Module, block: Block, state: Any, policy: Policy = 'none') -> Tensor:
        """What the local head reads, (N, C, h, w).

        Args:
            encoder: the encoder.
            block: the averaged block, of this encoder.
            state: the state at the cut.
            policy: what is recomputed, see :mod:`infopro_seg.models.recomputation.recompute`.
        """
        if not self._started:
            self._copy(encoder)
        runner = _Runner(encoder, block)
        after = recompute(policy, partial(self._average, runner), block.modules, state)
        feature: Tensor = block.feature(after)
        if self.bias is not None:
            run = partial(_call, runner, self.bias)
            feature = feature + block.feature(recompute(policy, run, (self.bias, *block.modules), state))
        return feature

    @torch.no_grad()
    def update(self, encoder: nn.Module) -> None:
        """Moves the average towards the block: m * average + (1 - m) * block; integer buffers are copied."""
        sources = _tensors(encoder)
        for name, average in _tensors(self.average).items():
            if average.is_floating_point():
                average.mul_(self.momentum).add_(sources[name], alpha=1 - self.momentum)
            else:
                average.copy_(sources[name])
        self.updates += 1
        self._started = True

    @torch.no_grad()
    def _copy(self, encoder: nn.Module) -> None:
        sources = _tensors(encoder)
        for tree in (self.average, self.bias):
            for name, tensor in _tensors(tree).items() if tree is not None else ():
                tensor.copy_(sources[name])

    def _average(self, runner: _Runner, state: Any) -> Any:
        """Runs the average; norms get clones of their statistics, because only `update` may change these."""
        statistics = {name for name, _ in runner.encoder.named_buffers()}
        return _call(runner, self.average, state, cloned=statistics)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        """Starts anew if the checkpoint lacks the block, because it has other cuts."""
        super()._load_from_state_dict(state_dict, prefix, *args)
        complete = all(prefix + name in state_dict for name in self.state_dict())
        if not complete:
            self.updates.zero_()
        self._started = bool(self.updates > 0)


def build_momentum_blocks(
    option: float | Mapping[str, Any] | None, encoder: nn.Module, blocks: Sequence[Block]
) -> nn.ModuleList | None:
    """Builds a momentum block for each block; none without the option.

    Args:
        option: the momentum, or a dict of arguments of :class:`MomentumBlock`.
        encoder: the encoder.
        blocks: the first block after each cut.

    Raises:
        ConfigError: the option is neither a momentum nor a dict, or the momentum is not in [0, 1).
    """
    if option is None:
        return None
    options = dict(option) if isinstance(option, Mapping) else {'momentum': option}
    unknown = options.keys() - {'momentum', 'learnable'}
    momentum = options.get('momentum', 0.995)
    number = isinstance(momentum, (int, float)) and not isinstance(momentum, bool)
    if unknown or not number or not 0 <= momentum < 1:
        raise ConfigError(
            f'momentum_block={option!r} is invalid; give a momentum from 0 to below 1, e.g. 0.995, or '
            'dict(momentum=0.995, learnable=True)'
        )
    return nn.ModuleList(MomentumBlock(encoder, block, **options) for block in blocks)


def _tree(tensors: Mapping[str, Tensor]) -> nn.Module:
    """A module that holds tensors under dotted names, like the modules that they were copied from."""
    root = nn.Module()
    for path, tensor in tensors.items():
        *parents, name = path.split('.')
        module = root
        for parent in parents:
            if parent not in module._modules:
                module.add_module(parent, nn.Module())
            module = module.get_submodule(parent)
        if isinstance(tensor, nn.Parameter):
            module.register_parameter(name, tensor)
        else:
            module.register_buffer(name, tensor)
    return root


class _Runner(nn.Module):
    """A module with the encoder's tensors, whose forward pass is that of a block."""

    def __init__(self, encoder: nn.Module, block: Block) -> None:
        super().__init__()
        self.encoder = encoder
        self.block = block  # not a module, so its submodules are not registered a second time

    def forward(self, state: Any) -> Any:
        return self.block.forward(state)


def _call(runner: _Runner, tree: nn.Module, state: Any, cloned: Collection[str] = ()) -> Any:
    """Runs the block of a runner with the tensors of a tree; `cloned` ones are cloned first."""
    tensors = _tensors(tree).items()
    lent = {f'encoder.{name}': tensor.clone() if name in cloned else tensor for name, tensor in tensors}
    with without_own_recomputation(runner.block.modules):
        return functional_call(runner, lent, (state,), tie_weights=False)


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _of_block(encoder: nn.Module, block: Block) -> dict[str, Tensor]:
    """The parameters and buffers of a block, by their names in the encoder."""
    own = {id(p) for p in block.owned} | {id(b) for module in block.modules for b in module.buffers()}
    return {name: tensor for name, tensor in _tensors(encoder).items() if id(tensor) in own}


def _copied(tensor: Tensor, trained: bool) -> Tensor:
    copy = tensor.detach().clone()
    if trained and isinstance(tensor, nn.Parameter):
        return nn.Parameter(copy, requires_grad=tensor.requires_grad)
    return copy
