"""The backbone of asynchronous training: one local module trains, the earlier ones are finished."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from mmseg.utils import SampleList, add_prefix
from torch import Tensor

from infopro_seg.models.asynchronous.turns import lent, require_turn
from infopro_seg.models.backbone import InfoProBackbone, Losses
from infopro_seg.models.blocks import Block, iter_blocks
from infopro_seg.models.forward_pass import ForwardPass


@MODELS.register_module()
class InfoProStageBackbone(InfoProBackbone):
    """An :class:`InfoProBackbone` that trains only one local module, on the frozen outputs of those before.

    Finished modules may be on another device; their blocks are lent to the device of the inputs, one
    at a time. See :mod:`infopro_seg.models.asynchronous.turns`.

    Args:
        stage: the index of the local module that trains.
        kwargs: the arguments of :class:`InfoProBackbone`.

    Raises:
        ConfigError: there is no such local module, or its local head reads blocks of the next one.
    """

    def __init__(self, stage: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        reading = {name: kwargs.get(name) for name in ('overlap', 'momentum_block')}
        require_turn(stage, len(self.cuts) + 1, **reading)
        self.turn: int = stage

    def train(self, mode: bool = True) -> InfoProStageBackbone:
        """Sets the mode of what trains; finished modules stay in evaluation, or their norms would move."""
        super().train(mode)
        for blocks in self.local_modules()[: self.turn]:
            for block in blocks:
                for module in block.modules:
                    module.train(False)
        return self

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """The encoder's own forward pass, without gradients: images (N, 3, H, W) to its outputs."""
        forward_pass = ForwardPass(inputs)
        _run_frozen(forward_pass, list(iter_blocks(self.encoder)), inputs.device)
        return tuple(output for output in forward_pass.outputs() if output is not None)

    def local_losses(
        self,
        inputs: Tensor,
        image: Tensor,
        data_samples: SampleList,
        read: Collection[int] | None = None,
    ) -> Generator[Losses, None, tuple[Tensor | None, ...] | None]:
        """Yields the losses of the module that trains, if it is an early one.

        See :meth:`InfoProBackbone.local_losses`; returns None, not outputs, unless the last module trains.
        """
        modules = self.local_modules()
        last = self.turn == len(modules) - 1
        forward_pass = ForwardPass(inputs, read if last else ())
        device = inputs.device
        del inputs
        for blocks in modules[: self.turn]:
            _run_frozen(forward_pass, blocks, device)
        if last:
            del image
        forward_pass.run(modules[self.turn], self.segments[self.turn])
        if last:
            return forward_pass.outputs()
        feature = self.readers()[self.turn].read(forward_pass.state)
        losses = self.local_heads[self.turn].loss(feature, image, data_samples)
        del feature
        yield add_prefix(losses, f'local_{self.turn}')
        return None

    @torch.no_grad()
    def reconstructions(self, inputs: Tensor, size: tuple[int, int]) -> list[Tensor | None]:
        """The images that the decoders of this module and of those before it reconstruct.

        See :meth:`InfoProBackbone.reconstructions`.
        """
        modules = self.local_modules()[: self.turn + 1]
        forward_pass = ForwardPass(inputs, read=())
        images: list[Tensor | None] = []
        for blocks, head, reader in zip(modules, self.local_heads, self.readers(), strict=False):
            _run_frozen(forward_pass, blocks, inputs.device)
            with lent(inputs.device, head):
                images.append(head.reconstruct(reader.read(forward_pass.state), size))
        return images


@torch.no_grad()
def _run_frozen(forward_pass: ForwardPass, blocks: Sequence[Block], device: torch.device) -> None:
    """Runs blocks without gradients, each on the device only while it runs."""
    for block in blocks:
        with lent(device, *block.modules):
            forward_pass.run([block])
