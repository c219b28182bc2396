from copy import deepcopy

import pytest
import torch
from mmengine.config import Config

from infopro_seg.memory import trace_step
from tests.stand_ins import (
    CUTS,
    SIZE,
    build,
    deeplabv3plus_config,
    gradients,
    make_batch,
    model_config,
    preprocessed,
    summed,
)


def losses_and_gradients(model, batch):
    losses = {}
    for part in model.local_losses(*preprocessed(model, batch)):
        losses |= {name: value.detach() for name, value in part.items()}
        summed(part).backward()
    return losses, gradients(model)


@pytest.mark.parametrize(
    ('cuts', 'backbone'),
    [
        ((), {}),
        (CUTS, {}),
        ((), {'checkpoint': 'expansions'}),
        (CUTS, {'checkpoint': True}),
        (CUTS, {'overlap': 1}),
    ],
    ids=str,
)
def test_training_is_the_same_channels_last(cuts, backbone):
    config = model_config(cuts, decode_head=deeplabv3plus_config())
    config['backbone'].update(backbone)
    usual = build(config).double()
    other = build(config | {'channels_last': True}).double()
    other.load_state_dict(usual.state_dict())
    batch = make_batch()
    torch.manual_seed(1)
    expected = losses_and_gradients(usual, deepcopy(batch))
    torch.manual_seed(1)
    found = losses_and_gradients(other, batch)
    for one, two in zip(expected, found, strict=True):
        assert one.keys() == two.keys()
        for name in one:
            torch.testing.assert_close(two[name], one[name], rtol=1e-9, atol=1e-11, msg=name)


def test_the_weights_and_what_blocks_compute_lie_channels_last():
    model = build(model_config(CUTS) | {'channels_last': True})
    weights = [weight for weight in model.parameters() if weight.dim() == 4]
    assert weights
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in weights)
    outputs = []
    model.backbone.encoder.layer3[0].register_forward_hook(
        lambda module, inputs, output: outputs.append(output)
    )
    for losses in model.local_losses(*preprocessed(model, make_batch())):
        summed(losses).backward()
    assert outputs
    assert all(x.is_contiguous(memory_format=torch.channels_last) for x in outputs)
    assert all(w.grad.is_contiguous(memory_format=torch.channels_last) for w in weights if w.grad is not None)


def test_the_memory_tracer_takes_the_layout():
    config = Config(
        {
            'model': model_config(CUTS) | {'channels_last': True},
            'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': 0.1}},
        }
    )
    trace = trace_step(config, 2, SIZE)
    config.model.channels_last = False
    assert trace.flops == trace_step(config, 2, SIZE).flops
