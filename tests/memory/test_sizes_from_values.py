"""Encoders that compute their sizes from values are traced as the others are."""

import torch
from mmseg.registry import MODELS
from torch import nn

from infopro_seg.memory import trace_step
from infopro_seg.memory.tracing.list_blocks import block_rows
from infopro_seg.memory.tracing.training_setup import TrainingSetup
from infopro_seg.models import Block, iter_blocks
from tests.stand_ins import head_config, local_head_config, model_config


@MODELS.register_module()
class Pyramid(nn.Module):
    """Two convolutions, whose widths are given or computed as timm's RegNets compute theirs."""

    def __init__(self, widths=None):
        super().__init__()
        first, second = widths or torch.tensor([8, 4, 8]).unique().tolist()
        self.first, self.second = nn.Conv2d(3, first, 3, 2, 1), nn.Conv2d(first, second, 3, 2, 1)

    def forward(self, inputs):
        return (self.second(self.first(inputs)),)


@iter_blocks.register
def _(encoder: Pyramid):
    yield Block('first', (encoder.first,), encoder.first)
    yield Block('second', (encoder.second,), encoder.second, lambda state: state)


def test_blocks_are_those_of_the_same_encoder_with_its_sizes_written_out():
    setup = TrainingSetup(2, (32, 64))
    rows = block_rows({'type': 'Pyramid'}, setup)
    assert rows == block_rows({'type': 'Pyramid', 'widths': (4, 8)}, setup)
    assert [row.feature for row in rows] == [(4, 16, 32), (8, 8, 16)]


def test_a_step_is_that_of_the_same_encoder_with_its_sizes_written_out():
    heads = {
        'local_head': local_head_config(),
        'decode_head': head_config(in_index=0),
        'auxiliary_head': None,
    }
    found = []
    for encoder in ({'type': 'Pyramid'}, {'type': 'Pyramid', 'widths': (4, 8)}):
        trace = trace_step(model_config(('first',), encoder=encoder, **heads), 2, (32, 64))
        found.append((trace.modules, trace.peak, trace.parameters, trace.gradients))
    assert found[0] == found[1]
