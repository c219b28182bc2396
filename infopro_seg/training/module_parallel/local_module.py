"""The forward pass of one local module, from the output of the previous module."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmseg.utils import SampleList, add_prefix
from torch import Tensor, nn

from infopro_seg.models.blocks import Block
from infopro_seg.models.forward_pass import ForwardPass
from infopro_seg.models.image import to_rgb
from infopro_seg.models.train_step import added
from infopro_seg.training.module_parallel.messages import Packed, pack


@dataclass
class Handed:
    """The input of a local module from the previous one.

    Args:
        raw: the batch as loaded, packed: images as bytes, and labels. Each process preprocesses it again.
        state: the state at the cut; None for the first module.
        kept: the states that the encoder's outputs so far are made of, None for those that no head reads.
        log_vars: the losses of the previous modules, and their sum.
    """

    raw: Packed
    state: Any = None
    kept: list[Any] = field(default_factory=list)
    log_vars: dict[str, Tensor] = field(default_factory=dict)


class HandedBatch(dict[str, Any]):
    """A batch as the data loader gives it, for the hooks, with the output of the previous module."""

    handed: Handed

    @classmethod
    def loaded(cls, data: dict[str, Any]) -> HandedBatch:
        """The input of the first module."""
        return cls.of(Handed(pack(data)))  # before the preprocessor pads the labels

    @classmethod
    def of(cls, handed: Handed) -> HandedBatch:
        """The input of a later module."""
        batch = cls(handed.raw.unpack())
        batch.handed = handed
        return batch


class LocalModule(nn.Module):
    """One local module of a network; its forward pass returns uncomputed losses, as DDP needs it.

    Args:
        model: an `InfoProEncoderDecoder`.
        index: the index of the module.
    """

    def __init__(self, model: Any, index: int) -> None:
        super().__init__()
        self.model, self.index = model, index

    def forward(
        self, handed: Handed, inputs: Tensor, data_samples: SampleList, send: Callable[[Handed], None]
    ) -> Iterator[dict[str, Tensor]]:
        """Yields the losses of the module, as `local_losses` does for all modules.

        Args:
            handed: the input from the previous module; its state is removed.
            inputs: normalised images, (N, 3, H, W).
            data_samples: N samples with `gt_sem_seg`.
            send: sends the output to the next module; called before the backward pass.
        """
        model, index = self.model, self.index
        backbone = model.backbone
        modules = backbone.local_modules()
        state = inputs if index == 0 else handed.state
        forward_pass = continued(model, modules, index, state, handed.kept)
        del state
        handed.state, handed.kept = None, []
        is_last = index == len(modules) - 1
        image = None if is_last else to_rgb(inputs, model.data_preprocessor)
        del inputs
        return _losses(self, forward_pass, modules[index], image, data_samples, handed, send)


def continued(
    model: Any, modules: Sequence[Sequence[Block]], index: int, state: Any, kept: Sequence[Any]
) -> ForwardPass:
    """The forward pass in the state in which the previous modules have left it.

    Args:
        model: an `InfoProEncoderDecoder`.
        modules: the blocks of its local modules.
        index: the index of the module that continues.
        state: the state at the cut before it; for the first module, the normalised images.
        kept: the states that the encoder's outputs so far are made of, None for those that no head reads.
    """
    forward_pass = ForwardPass(state, model.outputs_read())
    outputs = [output for blocks in modules[:index] for block in blocks for output in block.outputs]
    forward_pass.take_over(kept, outputs)
    return forward_pass


def _losses(
    local: LocalModule,
    forward_pass: ForwardPass,
    blocks: Any,
    image: Tensor | None,
    data_samples: SampleList,
    handed: Handed,
    send: Callable[[Handed], None],
) -> Iterator[dict[str, Tensor]]:
    model, index = local.model, local.index
    backbone = model.backbone
    forward_pass.run(blocks, backbone.segments[index])
    if image is None:
        yield from model.last_losses(forward_pass.outputs(), data_samples)
        return
    reader = backbone.readers()[index]
    losses = backbone.local_heads[index].loss(reader.read(forward_pass.state), image, data_samples)
    losses = add_prefix(losses, f'local_{index}')
    log_vars = added(handed.log_vars, model.parse_losses(losses)[1])
    send(Handed(handed.raw, *forward_pass.handed_on(), log_vars))
    del image, forward_pass
    yield losses
