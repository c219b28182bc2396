"""Measures every block, every local head and the final heads of a config's model, each alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from infopro_seg.config_edits import backbone_of
from infopro_seg.memory.costs.chain import PLAIN, Chain, HeadCost
from infopro_seg.memory.costs.pieces import PieceMeter
from infopro_seg.memory.tracing.fake_model import build_model, build_optimizer, fake_batch, fake_tensors
from infopro_seg.memory.tracing.storages import StorageTracker, storage_bytes
from infopro_seg.memory.variants import without_cuts
from infopro_seg.models.blocks import Block, split_blocks
from infopro_seg.models.local_heads.local_head import build_local_heads
from infopro_seg.models.local_heads.momentum_block import build_momentum_blocks
from infopro_seg.models.local_heads.readers import Reader, make_reader
from infopro_seg.models.recomputation.recompute import recompute, recompute_norms
from infopro_seg.tasks import is_classifier


def profile_chain(
    cfg: Any,
    batch: int,
    crop: tuple[int, int],
    amp: str | None = None,
    accumulation: int = 1,
    policies: Sequence[str] = (),
    blocks_of: Chain | None = None,
) -> Chain:
    """Measures the costs of all pieces of a config's model.

    Every piece runs forward and backward alone, from fresh inputs. Blocks run once per policy as the first
    block of a module, and once as a later one. See :func:`infopro_seg.memory.tracing.step.trace_step` for the
    other arguments.

    Args:
        policies: policies of :mod:`infopro_seg.models.recomputation.recompute` to measure, besides `none`.
        blocks_of: a chain whose blocks have the same costs, which are not measured again.

    Raises:
        ConfigError: the config has no `InfoProBackbone`, or a cut is not a block.
    """
    run = {policy: partial(_recomputed, policy) for policy in (PLAIN, *policies)}
    with fake_tensors() as tracker:
        model = build_model(without_cuts(cfg), crop)
        blocks = model.backbone.local_modules()[0]
        backbone = backbone_of(cfg)
        if backbone.get('num_modules') is None:  # otherwise it replaces the cuts
            split_blocks(model.backbone.encoder, backbone.get('cuts') or ())
        meter = PieceMeter(model, blocks, tracker, amp)
        meter.start(fake_batch(batch, crop, tracker, is_classifier(cfg)))
        states = meter.states()
        readers = _readers(backbone, model.backbone.encoder, blocks)
        widths = [meter.width(reader, state) for reader, state in zip(readers, states[1:], strict=True)]
        rows = _build_heads(backbone, widths)
        between = (module for reader in readers for module in reader.owned)
        trained = nn.ModuleList([model, *(head for row in rows for head in row.values()), *between])
        owned = partial(_owned, build_optimizer(cfg, trained).state)
        if blocks_of is not None:
            costs = blocks_of.blocks
        else:
            costs = tuple(
                meter.block(index, states, run, owned(*block.modules, parameters=block.parameters))
                for index, block in enumerate(blocks)
            )
        return Chain(
            blocks=costs,
            heads=tuple(
                tuple(
                    HeadCost(
                        owned(row[width], *reader.owned),
                        meter.head(state, row[width], reader, meter.trains_before(end)),
                    )
                    for end, (state, reader, width) in enumerate(
                        zip(states[1:], readers, widths, strict=True), start=1
                    )
                )
                for row in rows
            ),
            tails=tuple(meter.tails(states)),
            outputs=tuple(meter.outputs),
            labels=meter.labels_bytes,
            image=meter.image_bytes,
            inputs=meter.inputs_bytes,
            owned=owned(model) - sum(cost.owned for cost in costs),
            optimizer_share=_optimizer_share(cfg, tracker),
            overlap=backbone.get('overlap', 0),
            accumulated=accumulation > 1,
        )


def _recomputed(policy: Any, block: Block) -> Any:
    return partial(recompute, policy, block.forward, block.modules)


def _build_heads(backbone: Any, widths: Sequence[int]) -> list[dict[int, nn.Module]]:
    """For each config of local heads, a head for each width of the feature maps."""
    config = backbone.get('local_head')
    if config is None:
        return []
    rows = []
    for one in [config] if isinstance(config, dict) else config:
        heads = {width: build_local_heads(one, [width], ('',))[0].train() for width in sorted({*widths})}
        rows.append(heads)
        if backbone.get('checkpoint_heads'):
            recompute_norms(*heads.values())
    return rows


def _readers(backbone: Any, encoder: Any, blocks: Sequence[Block]) -> list[Reader]:
    """The reader that a local head after each block would have.

    Args:
        backbone: config of the backbone.
        encoder: its encoder.
        blocks: the encoder's blocks.
    """
    averages: Any = build_momentum_blocks(backbone.get('momentum_block'), encoder, blocks[1:]) or ()
    return [
        make_reader(
            block,
            blocks[index + 1 :],
            overlap=backbone.get('overlap', 0),
            encoder=encoder,
            average=averages[index] if index < len(averages) else None,
        )
        for index, block in enumerate(blocks)
    ]


def _owned(states: Any, *modules: nn.Module, parameters: Sequence[nn.Parameter] = ()) -> int:
    """Bytes that modules own: parameters, buffers and their optimizer state.

    Args:
        states: the optimizer's state of each parameter.
        modules: the modules.
        parameters: further parameters that count.
    """
    tensors: list[Tensor] = [b for module in modules for b in module.buffers()]
    for parameter in (*parameters, *(p for module in modules for p in module.parameters())):
        state = states.get(parameter, {}).values()
        tensors += [parameter, *(t for t in state if isinstance(t, Tensor))]
    return storage_bytes(tensors)


def _optimizer_share(cfg: Any, tracker: StorageTracker) -> float:
    """Temporary bytes of the optimizer's step, as a share of the gradients' bytes."""
    layer = nn.Linear(1024, 1024, bias=False)
    optimizer = build_optimizer(cfg, layer)
    layer.weight.grad = torch.empty_like(layer.weight)
    phase = tracker.begin('optimizer')
    optimizer.step()
    return (phase.peak - phase.start) / storage_bytes([layer.weight])
