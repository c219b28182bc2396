"""What a few encoders stand for, one or two of each block rule: cuts, options and exports."""

from copy import deepcopy

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmseg.registry import MODELS

from infopro_seg.export import to_stock_config
from infopro_seg.models import InfoProBackbone, iter_blocks
from tests.models.encoder_list import A_FEW, params
from tests.models.encoder_models import as_list, make_encoder, make_image, make_model, model_settings
from tests.stand_ins import (
    assert_same,
    gradients,
    jitter,
    local_head_config,
    make_batch,
    preprocessed,
    summed,
)

a_few_encoders = pytest.mark.parametrize('tiny', params(A_FEW))


@a_few_encoders
def test_it_can_be_cut_after_every_block_and_all_parameters_are_trained(tiny):
    cuts = tuple(block.name for block in iter_blocks(make_encoder(tiny)))[:-1]
    model = make_model(tiny, cuts)
    batch = make_batch(size=tiny.size)
    for losses in model.local_losses(*preprocessed(model, batch)):
        summed(losses).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    assert [name for name, grad in gradients(model).items() if not grad.isfinite().all()] == []


# HRNet's last exchange makes outputs that such a head does not read, in mmseg too
@pytest.mark.parametrize('tiny', params(A_FEW - {'hrnet'}))
def test_a_head_on_the_last_output_trains_all_blocks(tiny):
    model = make_model(tiny, (tiny.blocks[1],), all_outputs=False)
    for losses in model.local_losses(*preprocessed(model, make_batch(size=tiny.size))):
        summed(losses).backward()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    owned = [p for block in iter_blocks(model.backbone.encoder) for p in block.owned]
    assert [names[id(parameter)] for parameter in owned if parameter.grad is None] == []


@a_few_encoders
@pytest.mark.parametrize(
    'option',
    [{'overlap': 1}, {'momentum_block': (('learnable', True),)}],
    ids=['overlap', 'momentum block'],
)
def test_local_heads_read_through_the_next_block_of_any_encoder(tiny, option):
    """All is trained, each local loss reaches one block too far at most, and no batch counts twice."""
    cuts = (tiny.blocks[0], tiny.blocks[1])
    model, plain = make_model(tiny, cuts, **option), make_model(tiny, cuts)
    modules = model.backbone.local_modules()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    batch = make_batch(size=tiny.size)
    owned = [{names[id(p)] for block in blocks for p in block.owned} for blocks in modules]
    shared = (
        [{names[id(p)] for p in blocks[0].owned} for blocks in modules[1:]] if 'overlap' in option else []
    )
    ever = set()
    for index, losses in enumerate(model.local_losses(*preprocessed(model, batch))):
        model.zero_grad()
        summed(losses).backward()
        reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
        allowed = owned[index] | (shared[index] if index < len(shared) else set())
        assert set.union(*owned) & reached == allowed
        ever |= reached
    assert ever == set(names.values())
    for losses in plain.local_losses(*preprocessed(plain, batch)):
        summed(losses).backward()
    assert counted(model) == counted(plain)

    before = deepcopy(dict(model.named_parameters()))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    logs = model.train_step(batch, OptimWrapper(optimizer))
    assert logs['loss'].isfinite()
    assert any((before[name] != p).any() for name, p in model.named_parameters())


def counted(model):
    """How many batches each norm of the encoder has counted."""
    buffers = model.backbone.encoder.named_buffers()
    return {name: int(value) for name, value in buffers if name.endswith('num_batches_tracked')}


@a_few_encoders
def test_the_state_dict_has_the_encoder_s_own_keys(tiny):
    encoder = make_encoder(tiny)
    backbone = InfoProBackbone(deepcopy(tiny.encoder), (tiny.blocks[1],), local_head_config())
    saved = {k: v for k, v in backbone.state_dict().items() if not k.startswith('local_heads.')}
    assert list(saved) == list(encoder.state_dict())
    encoder.load_state_dict(saved, strict=True)


@a_few_encoders
def test_outside_training_the_backbone_is_its_encoder(tiny):
    backbone = jitter(InfoProBackbone(deepcopy(tiny.encoder), (tiny.blocks[1],), local_head_config()))
    backbone.eval()
    image = make_image(tiny)
    outputs = backbone(image)
    assert_same(outputs, tuple(as_list(backbone.encoder(image))))
    assert [output.shape[1] for output in outputs] == list(backbone.out_channels)


@a_few_encoders
def test_its_export_is_a_stock_network_with_the_same_logits(tiny):
    model = make_model(tiny, (tiny.blocks[1],)).eval()
    exported = to_stock_config(Config({'model': model_settings(tiny, (tiny.blocks[1],))}), model)
    assert exported.model.backbone == tiny.encoder
    stock = MODELS.build(exported.model).eval()
    weights = {key: value for key, value in model.state_dict().items() if '.local_heads.' not in key}
    stock.load_state_dict(weights, strict=True)
    image = make_image(tiny)
    with torch.no_grad():
        assert_same(stock(image), model(image))
