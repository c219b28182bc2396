"""The backbone wrapper: any encoder with a block rule, split into gradient-isolated local modules."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from mmseg.utils import SampleList, add_prefix
from torch import Tensor

from infopro_seg.errors import ConfigError
from infopro_seg.models.blocks import Block, smallest_image, split_blocks
from infopro_seg.models.compiled import CompileOption, compile_options, compiled_blocks
from infopro_seg.models.encoder import build_encoder
from infopro_seg.models.forward_pass import ForwardPass
from infopro_seg.models.local_heads.local_head import build_local_heads
from infopro_seg.models.local_heads.lookahead import check_overlap
from infopro_seg.models.local_heads.momentum_block import build_momentum_blocks
from infopro_seg.models.local_heads.readers import Reader, make_reader
from infopro_seg.models.pretrained import pretrained_errors
from infopro_seg.models.recomputation.recompute import recompute_norms
from infopro_seg.models.recomputation.recompute_option import Option, module_segments
from infopro_seg.models.state_dict import hide_encoder_prefix, show_encoder_prefix

Config: TypeAlias = dict[str, Any]
Losses: TypeAlias = dict[str, Tensor]


@MODELS.register_module()
class InfoProBackbone(BaseModule):
    """An encoder split into K local modules, the first K - 1 with a local head each.

    The whole method (paper, figure 1 and eq. 9)::

        state = inputs
        for blocks, head in zip(modules, local_heads):      # all modules but the last
            state = run(blocks, state)
            yield head.loss(state, image, labels)            # the caller runs backward here ...
            state = state.detach()                           # ... and no gradient crosses the cut
        outputs = run(modules[-1], state)                    # read by the segmentor's neck and heads

    At test time, and for everything outside training, it is the encoder: `forward` returns the encoder's
    outputs, and the state dict has the encoder's own keys, beside `local_heads.*`.

    Args:
        encoder: config of an mmseg backbone that has a block rule, see
            :func:`infopro_seg.models.iter_blocks`.
        cuts: names of the K - 1 blocks after which gradients stop, e.g. `('layer3.12',)`; `()` is plain
            end-to-end training.
        local_head: config of the local heads, one for all or a list of K - 1. `in_channels` is
            inferred; a `loss_weight` that is a pair runs linearly from the first local module to
            the last (paper, section 5), one of more values from each to the next.
        num_modules: K, in place of `cuts`. `infopro_seg.memory.resolve_cuts` finds cuts that balance memory,
            before the model is built.
        checkpoint: what the backward pass recomputes instead of keeping it; gradients stay the same. True
            for whole blocks, False for nothing, the indices of the local modules that recompute whole
            blocks, one policy for all, such as 'norms' or 'expansions*3', policies by block, or a list with
            one policy per module. See :mod:`infopro_seg.models.recomputation.recompute_option`.
        checkpoint_heads: whether the convolution modules of local heads, neck, decode head and auxiliary
            heads recompute norms and activations.
        compile_blocks: whether torch.compile compiles each block for training, or a dict of its arguments.
            See :mod:`infopro_seg.models.compiled`.
        overlap: number of blocks of the next module that a local head reads through. These blocks learn
            from the losses of both modules (based on HPFF, ECCV 2024). See
            :func:`infopro_seg.models.local_heads.lookahead.look_ahead`.
        momentum_block: the local head reads through an averaged copy of the block after its cut, with this
            momentum, e.g. 0.995 (based on MAN, ECCV 2024); or a dict of options. See
            :class:`infopro_seg.models.local_heads.momentum_block.MomentumBlock`.
        init_cfg: mmengine's initialisation config.

    Raises:
        ConfigError: the encoder has no block rule, a cut is not one of its blocks, the number of local
            heads or of policies does not match the number of cuts, or `overlap`, `momentum_block` or
            `compile_blocks` is wrong.
    """

    turn: int | None = None  # None: all local modules train; `InfoProStageBackbone` sets a single one

    def __init__(
        self,
        encoder: Config,
        cuts: Sequence[str] = (),
        local_head: Config | Sequence[Config] | None = None,
        num_modules: int | None = None,
        checkpoint: Option = False,
        checkpoint_heads: bool = False,
        compile_blocks: CompileOption = False,
        overlap: int = 0,
        momentum_block: float | Config | None = None,
        init_cfg: Config | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if isinstance(cuts, str):
            raise ConfigError(f'cuts is the string {cuts!r}; write a tuple of names: ({cuts!r},)')
        if num_modules not in (None, len(cuts) + 1):
            raise ConfigError(
                f'num_modules={num_modules} is resolved by infopro_seg.memory.resolve_cuts(cfg) before the '
                f'model is built, but this one has cuts={tuple(cuts)}; call it first, or give the '
                f'{num_modules - 1} cuts yourself'
            )
        self.cuts = tuple(cuts)
        self.compile_options = compile_options(compile_blocks)
        self.encoder: Any = build_encoder(encoder)
        modules = self.local_modules()
        names = [[block.name for block in blocks] for blocks in modules]
        self.segments = module_segments(checkpoint, names)
        check_overlap(overlap, modules, momentum_block)
        self.overlap = overlap
        self.momentum_blocks: Any = build_momentum_blocks(
            momentum_block, self.encoder, [blocks[0] for blocks in modules[1:]]
        )
        features, outputs = self._run_tiny_image()
        self.out_shapes = tuple(tuple(output.shape[1:]) for output in outputs)  # of a tiny image
        self.out_channels = tuple(shape[0] for shape in self.out_shapes)
        self.local_heads: Any = build_local_heads(
            local_head, [feature.shape[1] for feature in features], self.cuts
        )
        self.heads_recomputed = checkpoint_heads
        if checkpoint_heads:
            recompute_norms(self.local_heads)
        self.register_state_dict_post_hook(hide_encoder_prefix)
        self.register_load_state_dict_pre_hook(show_encoder_prefix)

    def init_weights(self) -> None:
        """Initialises encoder and local heads.

        Raises:
            CheckpointError: the encoder's pretrained weights cannot be loaded.
        """
        with pretrained_errors(self.encoder, 'encoder'):
            super().init_weights()

    def local_modules(self) -> list[list[Block]]:
        """The blocks of each of the K local modules, in order."""
        modules = split_blocks(self.encoder, self.cuts)
        return [compiled_blocks(blocks, self.compile_options) for blocks in modules]

    def readers(self) -> list[Reader]:
        """The reader of each of the K - 1 local heads: it turns the state at the cut into a feature map."""
        modules = self.local_modules()
        averages = self.momentum_blocks or [None] * len(self.cuts)
        return [
            make_reader(before[-1], after, segments[-1].policy, self.overlap, self.encoder, average)
            for (before, after), segments, average in zip(
                pairwise(modules), self.segments, averages, strict=False
            )
        ]

    def forward(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """The encoder's own forward pass, from images (N, 3, H, W) to its outputs."""
        outputs: Tensor | Sequence[Tensor] = self.encoder(inputs)
        return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)

    def local_losses(
        self,
        inputs: Tensor,
        image: Tensor,
        data_samples: SampleList,
        read: Collection[int] | None = None,
    ) -> Generator[Losses, None, tuple[Tensor | None, ...] | None]:
        """Yields the losses of each early module; the caller runs backward before it asks for the next.

        Args:
            inputs: normalised images, (N, 3, H, W).
            image: the same images as RGB in [0, 1], (N, 3, H, W).
            data_samples: N samples with `gt_sem_seg`.
            read: indices of the encoder's outputs that are read, None for all; the others are not kept.

        Returns:
            The encoder's outputs, None for those not read. Outputs of the last module are attached to the
            graph; outputs of earlier modules are detached.
        """
        *early, last = zip(self.local_modules(), self.segments, strict=True)
        forward_pass = ForwardPass(inputs, read)
        del inputs  # the first module's graph keeps it while it needs it
        for index, (module, head, reader) in enumerate(
            zip(early, self.local_heads, self.readers(), strict=True)
        ):
            forward_pass.run(*module)
            losses = head.loss(reader.read(forward_pass.state), image, data_samples)
            yield add_prefix(losses, f'local_{index}')
            del losses
            forward_pass.cut()
        del image
        forward_pass.run(*last)
        return forward_pass.outputs()

    @torch.no_grad()
    def reconstructions(self, inputs: Tensor, size: tuple[int, int]) -> list[Tensor | None]:
        """The images as the decoder of each local head reconstructs them.

        Args:
            inputs: normalised images, (N, 3, H, W).
            size: height and width of the reconstructions, in pixels.

        Returns:
            One RGB batch in [0, 1], (N, 3, *size), per local head; None for a head without decoder.
        """
        forward_pass = ForwardPass(inputs, read=())
        images: list[Tensor | None] = []
        for blocks, head, reader in zip(self.local_modules(), self.local_heads, self.readers(), strict=False):
            forward_pass.run(blocks)
            images.append(head.reconstruct(reader.read(forward_pass.state), size))
        return images

    def update_momentum_blocks(self) -> None:
        """Moves the averaged copies towards their blocks, after a step of the optimizer."""
        for momentum_block in self.momentum_blocks or ():
            momentum_block.update(self.encoder)

    @torch.no_grad()
    def _run_tiny_image(self) -> tuple[list[Tensor], list[Tensor]]:
        """Runs a tiny image to learn channels: what the local heads read, and the encoder's outputs."""
        training = self.encoder.training
        self.encoder.eval()
        forward_pass = ForwardPass(torch.zeros(1, 3, *smallest_image(self.encoder)))
        features: list[Tensor] = []
        *early, last = self.local_modules()
        for blocks, reader in zip(early, self.readers(), strict=True):
            forward_pass.run(blocks)
            features.append(reader.read(forward_pass.state))
        forward_pass.run(last)
        self.encoder.train(training)
        return features, [output for output in forward_pass.outputs() if output is not None]
