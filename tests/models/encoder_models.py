"""Networks with the encoders of the list, built once and copied."""

from copy import deepcopy
from functools import cache

import torch
from mmengine import ConfigDict

from infopro_seg.models import iter_blocks
from infopro_seg.models.encoder import build_encoder
from tests.stand_ins import build, head_config, jitter, model_config


@cache
def _encoder(tiny):
    torch.manual_seed(0)
    return jitter(build_encoder(deepcopy(tiny.encoder)))


@cache
def _outputs(tiny):
    return sum(len(block.outputs) for block in iter_blocks(_encoder(tiny)))


@cache
def _model(tiny, cuts, all_outputs, options):
    return build(model_settings(tiny, cuts, all_outputs, **dict(options)), double=False)


def make_encoder(tiny, training=True):
    encoder = deepcopy(_encoder(tiny))
    encoder.train(training)
    return encoder


def make_image(tiny):
    return torch.randn(2, 3, *tiny.size)


def model_settings(tiny, cuts, all_outputs=True, **backbone):
    """The decode head is a UPerHead on all outputs, or an FCNHead on the last or only one."""
    count = _outputs(tiny)
    head = head_config(in_index=count - 1)
    if all_outputs and count > 1:
        head = head_config(type='UPerHead', in_index=tuple(range(count)), pool_scales=(1, 2))
    config = model_config(cuts, encoder=tiny.encoder, decode_head=head, auxiliary_head=None)
    config['data_preprocessor']['size'] = tiny.size
    config['backbone'] |= {key: ConfigDict(v) if isinstance(v, tuple) else v for key, v in backbone.items()}
    return config


def make_model(tiny, cuts, all_outputs=True, **backbone):
    """A copy of the network; options of the backbone are numbers, or dicts as tuples of pairs."""
    return deepcopy(_model(tiny, cuts, all_outputs, tuple(backbone.items())))


def as_list(outputs):
    return [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
