"""Prediction with a network whose local modules are in separate processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from infopro_seg.models.blocks import split_blocks
from infopro_seg.models.forward_pass import ForwardPass
from infopro_seg.models.row_maps import RowMap
from infopro_seg.training.module_parallel.local_module import continued
from infopro_seg.training.module_parallel.messages import on_device
from infopro_seg.training.module_parallel.stream import Stream


@contextmanager
def divided(model: Any, index: int, stream: Stream, device: torch.device) -> Iterator[None]:
    """Within the context, the processes of a network's modules predict together, each with its own module.

    All processes make the same calls, for images of the same sizes, so each runs the encoder equally often:
    for whole images, windows, or variants of an image. A process receives the state of the previous module,
    runs its blocks and sends the result on. Only the last process runs neck and decode head and computes the
    labels. In the others, samples get no `pred_sem_seg`.

    Args:
        model: an `InfoProEncoderDecoder`, of which the process holds one module.
        index: the index of that module.
        stream: the stream to the neighbours.
        device: the device of the module.
    """
    part = _Part(model, index, stream, device)
    replaced = part.methods()
    for owner, name, method in replaced:
        setattr(owner, name, method)
    try:
        yield
    finally:
        for owner, name, _ in replaced:
            delattr(owner, name)


class _Part:
    """The part of a prediction that one process does."""

    def __init__(self, model: Any, index: int, stream: Stream, device: torch.device) -> None:
        self.model, self.index, self.stream, self.device = model, index, stream, device
        self.modules = split_blocks(model.backbone.encoder, model.backbone.cuts)
        self.is_last = index == len(self.modules) - 1

    def methods(self) -> list[tuple[Any, str, Callable[..., Any]]]:
        """The methods of the network to replace: owner, name, and the replacement for this process's part."""
        backbone = self.model.backbone
        own = [(backbone, 'reconstructions', self.reconstructions)]
        if self.is_last:
            return [*own, (backbone, 'forward', self.outputs)]
        return [*own, (self.model, 'encode_decode', self.encode), (self.model, 'segment', self.pass_over)]

    def outputs(self, inputs: Tensor) -> tuple[Tensor | None, ...]:
        """The encoder's outputs; None for those that no head reads."""
        return self.run(inputs).outputs()

    def encode(self, inputs: Tensor, batch_img_metas: Any = None) -> Tensor:
        """Sends the state to the next module; returns placeholders for logits, one pixel each."""
        self.stream.send_on(self.run(inputs).handed_on())
        return inputs.new_zeros(len(inputs), 1, 1, 1)

    def pass_over(self, sample: Any, logits: RowMap, are_probabilities: bool = False) -> None:
        """Reads the logits as the last process does, because sliding windows are computed when read."""
        for start, stop in self.model.row_bands(logits.size, self.model.out_channels):
            logits(start, stop)

    def run(self, inputs: Tensor) -> ForwardPass:
        """Runs the blocks of this process's module."""
        state, kept = (inputs, []) if self.index == 0 else self.received()
        forward_pass = continued(self.model, self.modules, self.index, state, kept)
        del state, kept
        forward_pass.run(self.modules[self.index])
        return forward_pass

    def reconstructions(self, inputs: Tensor, size: tuple[int, int]) -> list[Tensor | None]:
        """As in the backbone, for the modules up to this one."""
        backbone = self.model.backbone
        state, images = (inputs, []) if self.index == 0 else self.received()
        if self.is_last:
            return list(images)
        forward_pass = ForwardPass(state, read=())
        forward_pass.run(self.modules[self.index])
        feature = backbone.readers()[self.index].read(forward_pass.state)
        images = [*images, backbone.local_heads[self.index].reconstruct(feature, size)]
        ends = self.index + 2 == len(self.modules)  # the last module reconstructs nothing
        self.stream.send_on((None if ends else forward_pass.state, images))
        return images

    def received(self) -> Any:
        """The object that the process of the previous module has sent."""
        return on_device(self.stream.receive(), self.device)
