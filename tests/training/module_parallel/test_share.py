"""What of a network stays in a process, and what of it ever goes to the device."""

import pytest
import torch
from mmengine.registry import init_default_scope

from infopro_seg.training.module_parallel.share import Share
from tests.stand_ins import CUTS, build, model_config

DEVICE = torch.device('cuda')  # none needs to be there: what goes to it is copied instead


@pytest.fixture
def moved(monkeypatch):
    """The memory of the tensors that were moved to the device."""
    found = set()

    def to(tensor, device):
        assert device == DEVICE
        found.add(tensor.data_ptr())
        return tensor.clone()

    monkeypatch.setattr(torch.Tensor, 'to', to)
    return found


@pytest.mark.parametrize('index', range(3))
def test_only_its_own_module_goes_to_the_device(index, moved):
    init_default_scope('mmseg')
    model = build(model_config(CUTS), double=False)
    blocks = model.backbone.local_modules()
    layers = [layer for block in blocks[index] for layer in block.modules]
    layers += [model.backbone.local_heads[index]] if index < 2 else [model.decode_head, model.auxiliary_head]
    own = {tensor.data_ptr() for layer in layers for tensor in (*layer.parameters(), *layer.buffers())}
    shared = {buffer.data_ptr() for buffer in model.data_preprocessor.buffers()}
    trained = {parameter.data_ptr() for parameter in model.parameters()}
    everything = {tensor.data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    share = Share(model, index)
    share.drop_foreign(optimizer)
    left = {tensor.data_ptr() for tensor in (*model.parameters(), *model.buffers()) if not tensor.is_meta}
    assert left == own | shared
    kept = {
        parameter.data_ptr() for parameter in optimizer.param_groups[0]['params'] if not parameter.is_meta
    }
    assert kept == own & trained
    assert not moved
    share.to(DEVICE)
    assert moved == own | shared
    assert everything > moved
