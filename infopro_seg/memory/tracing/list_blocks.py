"""The command `tools/list_blocks.py`: traces an encoder block by block, to help choose cuts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from infopro_seg.config_edits import encoder_of
from infopro_seg.config_files import load_config
from infopro_seg.consoles import new_table, table_console
from infopro_seg.errors import UserError
from infopro_seg.memory.tracing.autocast import autocast
from infopro_seg.memory.tracing.fake_model import fake_tensors, without_sync, without_values
from infopro_seg.memory.tracing.training_setup import TrainingSetup, training_setup
from infopro_seg.models.blocks import iter_blocks
from infopro_seg.models.encoder import build_encoder, without_weights

MIB = 2**20


@dataclass(frozen=True)
class BlockRow:
    """A block and its costs in training.

    Args:
        name: its name in cuts.
        feature: channels, height and width of the map that a local head after it reads.
        outputs: indices of the encoder's outputs that the block produces.
        parameters: number of its parameters, including frozen ones.
        kept: bytes that its forward pass keeps for its backward pass, including its output.
        flops: floating-point operations of its forward pass.
    """

    name: str
    feature: tuple[int, int, int]
    outputs: tuple[int, ...]
    parameters: int
    kept: int
    flops: int


def block_rows(encoder: dict[str, Any], setup: TrainingSetup) -> list[BlockRow]:
    """Traces the forward pass of an encoder in end-to-end training, on fake tensors.

    Args:
        encoder: the config of the encoder.
        setup: batch, crop and precision.

    Raises:
        ConfigError: the encoder cannot be built, or has no block rule.
        UserError: the encoder's forward pass needs values, which a trace does not have.
    """
    rows: list[BlockRow] = []
    with fake_tensors() as tracker:
        built: Any = without_sync(
            without_values(lambda: build_encoder(without_weights(copy.deepcopy(encoder))))
        )
        built.train()
        inputs = torch.empty(setup.batch, 3, *setup.crop)
        state: Any = inputs
        count = 0
        for block in iter_blocks(built):
            before = tracker.live
            phase = tracker.begin(block.name)
            with autocast(setup.amp):
                state = block.forward(state)
            kept = tracker.live - before
            tracker.begin('feature')
            _, *shape = block.feature(state).shape
            outputs = range(count, count + len(block.outputs))
            count = outputs.stop
            parameters = sum(parameter.numel() for parameter in block.owned)
            channels, height, width = shape
            feature = (channels, height, width)
            rows.append(BlockRow(block.name, feature, tuple(outputs), parameters, kept, phase.flops))
    return rows


def list_blocks(
    config: Path,
    batch: int | None = None,
    crop: tuple[int, int] | None = None,
    options: dict[str, Any] | None = None,
) -> None:
    """Prints the blocks of a config's encoder, with a line below each cut.

    Raises:
        UserError: an argument or the config is invalid.
    """
    if any(size is not None and size < 1 for size in (batch, *(crop or ()))):
        raise UserError(f'--batch and --crop are {batch} and {crop}; give numbers of 1 or more')
    cfg = load_config(config, options)
    encoder, cuts = encoder_of(cfg)
    setup = training_setup(cfg, batch, crop)
    table = blocks_table(encoder['type'], block_rows(encoder, setup), setup, cuts)
    table_console().print(table)


def blocks_table(kind: str, rows: Sequence[BlockRow], setup: TrainingSetup, cuts: Sequence[str]) -> Table:
    """The blocks as a table; `so far` is the share of the encoder's kept bytes up to a block's end."""
    total = sum(row.kept for row in rows)
    table = new_table(
        f'{len(rows)} blocks of {kind}: {setup}',
        ['block', 'feature map', 'output', 'parameters', 'kept MiB', 'so far', 'GFLOPs'],
        texts=('block', 'feature map'),
        caption=(
            f'{sum(row.parameters for row in rows):,} parameters, {total / MIB:.1f} MiB kept for the '
            'backward pass. Any block but the last may be a cut.'
        ),
    )
    kept = 0
    for row in rows:
        kept += row.kept
        channels, height, width = row.feature
        table.add_row(
            row.name,
            f'{channels} x {height} x {width}',
            ', '.join(str(index) for index in row.outputs),
            f'{row.parameters:,}',
            f'{row.kept / MIB:.1f}',
            f'{kept / max(total, 1):.0%}',
            f'{row.flops / 1e9:.1f}',
            end_section=row.name in cuts,
        )
    return table
